//! A hub that is lost, and comes back from its backup.

use crate::hub::{Hub, ran};
use crate::{PART, add, prusa, until, until_job};
use std::os::unix::fs::PermissionsExt;

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_comes_back_with_its_printers_jobs_and_secrets() {
    let printer = prusa().await;
    let hub = Hub::up("garage", "log = \"info\"\n");
    add(&hub, &printer);
    let part = hub.file("part.gcode", PART);
    hub.run(&["printer", "send", "mk4", &part, "--start"]);
    until_job(&hub, "printing");
    let id = hub.json(&["printer", "list"])[0]["id"].clone();

    let file = hub.data.path().join("farhub.tar");
    let file = file.to_str().unwrap();
    let made = hub.ran(&["backup", "--files", file]);
    assert_eq!(made.status, 0, "{made:?}");
    assert!(made.stderr.contains("read again and whole"), "{made:?}");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(hub.ran(&["backup", file]).status, 2, "it overwrites nothing");
    let left = std::fs::read_dir(hub.folder()).unwrap();
    let left =
        left.filter(|it| it.as_ref().unwrap().file_name().to_string_lossy().starts_with("b"));
    assert_eq!(left.count(), 0, "what was made for it is gone");

    let running = hub.ran(&["restore", "--replace", file]);
    assert_eq!(running.status, 1, "{running:?}");
    assert!(running.stderr.contains("a hub is running"), "{running:?}");
    let folder = hub.folder().to_owned();
    let data = hub.down();
    assert_eq!(ran(&folder, &["restore", file]).status, 2, "it is not empty");

    // a bit that flips is noticed, and nothing was touched
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = data.path().join("damaged.tar");
    std::fs::write(&damaged, &bytes).unwrap();
    let refused = ran(&folder, &["restore", "--replace", damaged.to_str().unwrap()]);
    assert_eq!(refused.status, 1, "{refused:?}");
    std::fs::write(&damaged, &bytes[..middle]).unwrap();
    let refused = ran(&folder, &["restore", "--replace", damaged.to_str().unwrap()]);
    assert_eq!(refused.status, 1, "{refused:?}");
    let beside = || std::fs::read_dir(data.path()).unwrap().count();
    let before = beside();

    let restored = ran(&folder, &["restore", "--replace", file]);
    assert_eq!(restored.status, 0, "{restored:?}");
    assert!(restored.stderr.contains("What was there is in "), "{restored:?}");
    assert_eq!(beside(), before + 1, "the old one is kept beside it");
    assert_eq!(std::fs::read_to_string(folder.join("farhub.toml")).unwrap(), "log = \"info\"\n");
    let hub = Hub::up_in("garage", data, folder);
    let shown = until(&hub, "mk4", |printer| printer["health"]["link"] == "online");
    assert_eq!(shown["id"], id, "its secret was in the backup too");
    assert_eq!(until_job(&hub, "printing")["total"], 1, "and it is the same job");
    let back = hub.data.path().join("back.gcode");
    hub.run(&["printer", "fetch", "mk4", "part.gcode", "--to", back.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(back).unwrap(), PART);
}

#[test]
fn what_is_no_backup_is_not_restored() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("x.tar");
    std::fs::write(&file, "something else").unwrap();
    let folder = data.path().join("hub");
    let refused = ran(&folder, &["restore", file.to_str().unwrap()]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("is no backup of farhub"), "{refused:?}");
    assert!(!folder.exists() && std::fs::read_dir(data.path()).unwrap().count() == 1);
    assert_eq!(ran(&folder, &["restore", "none.tar"]).status, 5);
    assert_eq!(ran(&folder, &["backup", "none.tar"]).status, 3, "no hub runs");
}
