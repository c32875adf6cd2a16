//! Files: what is kept, what goes, and what has come of a file when its printer has another one.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod bench;

use bench::{begin, new, open, simulated, start, until, when};
use fleet::Fleet;
use fleet::files::{FileFilter, From};
use fleet::view::{File, Link};
use sim::printer::Protocol;
use std::fs;
use std::path::Path;
use store::shop::Blob;

async fn receive(fleet: &Fleet, name: &str, content: &[u8]) -> File {
    let mut receiving = fleet.receive(name).await.unwrap();
    receiving.write(content).await.unwrap();
    receiving.finish().await.unwrap()
}

async fn files(fleet: &Fleet) -> Vec<File> {
    fleet.files(&FileFilter::default()).await.unwrap().files
}

fn partials(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("partial")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn the_same_content_again_keeps_its_note() {
    let (_folder, fleet) = begin().await;
    let first = receive(&fleet, "a.gcode", b"G28\n").await;
    fleet.edit_file(&first.id, None, Some("mine".to_owned())).await.unwrap();
    let again = receive(&fleet, "a.gcode", b"G28\n").await;
    assert_eq!((again.id, &*again.note), (first.id, "mine"));
    fleet.stop().await;
}

#[tokio::test]
async fn what_was_on_its_way_when_the_hub_ended_says_so_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&folder).await;
    let row = |id: &str, state: &str| store::shop::File {
        id: id.to_owned(),
        place: "printer-0000".to_owned(),
        path: format!("/{id}"),
        name: format!("{id}.gcode"),
        bytes: Some(9),
        changed_us: Some(7),
        hash: None,
        state: state.to_owned(),
        problem: None,
        note: String::new(),
        search: String::new(),
        seen_us: 1,
        created_us: 1,
    };
    shop.put_file(&row("aa", "downloading")).await.unwrap();
    shop.put_file(&row("bb", "available")).await.unwrap();
    let blob = Blob {
        hash: "ab".repeat(32),
        bytes: 4,
        kind: "gcode".to_owned(),
        meta: "{}".to_owned(),
        created_us: 1,
    };
    shop.put_blob(&blob).await.unwrap();
    let content = folder.path().join("blobs/ab").join(&blob.hash);
    let partial = folder.path().join("partial");
    fs::create_dir_all(content.parent().unwrap()).unwrap();
    fs::create_dir_all(partial.join("import-x1y2")).unwrap();
    fs::write(&content, b"G28\n").unwrap();
    for name in ["aa-9-7", "bb-9-7", "cc-9-7", "0123upload", "import-x1y2/copy.db"] {
        fs::write(partial.join(name), b"G").unwrap();
    }
    let fleet = start(&folder, shop).await;
    let mut left = partials(folder.path());
    left.sort();
    assert_eq!(left, ["aa-9-7", "bb-9-7"]);
    assert!(!content.exists(), "no file has it");
    let files = files(&fleet).await;
    let state = |id| files.iter().find(|file| file.id == id).unwrap();
    assert_eq!(state("aa").state, "error");
    assert!(state("aa").problem.as_deref().unwrap().contains("download it again"));
    assert_eq!((&*state("bb").state, &state("bb").problem), ("available", &None));
    fleet.stop().await;
}

#[tokio::test]
async fn a_download_does_not_go_on_with_another_content() {
    let (folder, fleet) = begin().await;
    let printer = simulated(Protocol::Moonraker).await;
    let first = vec![b'A'; 48 << 20];
    printer.put_file("part.gcode", first);
    let name = fleet.add(new(printer.spec()), |_| false).await.unwrap().name.to_string();
    until(&fleet, &name, Link::Online).await;
    let file = when(&fleet, "the file is listed", async || files(&fleet).await.pop()).await;
    fleet.download(&file.id).await.unwrap();
    let come = async || {
        let name = partials(folder.path()).pop()?;
        let bytes = fs::metadata(folder.path().join("partial").join(name)).ok()?.len();
        (bytes > 0).then_some(bytes)
    };
    let broken = tokio::time::timeout(bench::LIMIT, async {
        while come().await.is_none() {
            tokio::task::yield_now().await;
        }
        fleet.cancel_transfer(&file.id).await.unwrap();
    });
    broken.await.unwrap();
    let state = async || fleet.file(&file.id).await.unwrap();
    let is = async |wanted: &str| Some(state().await).filter(|file| file.state == wanted);
    when(&fleet, "it broke off", async || is("error").await).await;
    assert!(come().await.unwrap() < 48 << 20);

    // its own list is not asked for again by then
    let second = b";another\n".repeat(2 << 20);
    printer.put_file("part.gcode", second.clone());
    fleet.download(&file.id).await.unwrap();
    let file = when(&fleet, "it has come", async || {
        let file = state().await;
        let before = Some("somebody ended it");
        assert!(file.problem.is_none() || file.problem.as_deref() == before, "{file:?}");
        is("downloaded").await
    })
    .await;
    let (path, _) = fleet.content(&file.id).await.unwrap();
    assert!(fs::read(path).unwrap() == second, "it is the second, whole");
    assert_eq!(partials(folder.path()), [""; 0]);
    assert_eq!(file.bytes, i64::try_from(second.len()).ok());

    // what is dropped here stays there, and nothing of it is left
    fleet.remove_file(&file.id, From::Here).await.unwrap();
    assert_eq!(state().await.state, "available");
    assert!(
        !folder
            .path()
            .join("blobs")
            .join(&file.hash.unwrap()[..2])
            .read_dir()
            .unwrap()
            .any(|_| true)
    );
    fleet.stop().await;
}
