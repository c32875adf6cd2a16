//! Everything that a shop remembers, from the first start on.

use crate::place::{KEY, Place, open};
use store::shop::{Channel, Folder, Printer, SecretKey};
use store::{Error, Shop};

pub(crate) fn printer(id: &str, name: &str) -> Printer {
    Printer {
        id: id.into(),
        name: name.into(),
        title: "Der große".into(),
        protocol: "bambu".into(),
        host: "10.0.0.7".into(),
        port: 0,
        files_port: 990,
        tls: true,
        serial_number: "01S00C123".into(),
        user_name: "bblp".into(),
        pin: Some("aa:bb".into()),
        model: "P1S".into(),
        location: "Keller".into(),
        tags: "[\"pla\"]".into(),
        settings: "{}".into(),
        enabled: true,
        bed_clear: false,
        created_us: 1,
        updated_us: 2,
    }
}

#[tokio::test]
async fn printers_come_and_go() {
    for place in Place::both() {
        let shop = place.shop().await;
        let one = printer("p1", "anna");
        shop.put_printer(&one, Some("12345678")).await.unwrap();
        shop.put_printer(&printer("p2", "bert"), None).await.unwrap();
        assert_eq!(shop.printers().await.unwrap(), [one.clone(), printer("p2", "bert")]);
        let taken = shop.put_printer(&printer("p3", "anna"), Some("x")).await;
        assert!(matches!(taken, Err(Error::NameTaken(name)) if name == "anna"));
        let taken = shop.put_printer(&printer("p2", "anna"), None).await;
        assert!(matches!(taken, Err(Error::NameTaken(name)) if name == "anna"));
        assert_eq!(shop.printer("p3").await.unwrap(), None);

        shop.set_bed_clear("p1", true).await.unwrap();
        let edited = Printer { host: "[fd00::7]".into(), pin: None, updated_us: 9, ..one.clone() };
        let edited = Printer { created_us: 77, bed_clear: false, ..edited };
        shop.put_printer(&edited, None).await.unwrap();
        let kept = Printer { created_us: 1, bed_clear: true, ..edited };
        assert_eq!(shop.printer("p1").await.unwrap(), Some(kept.clone()));
        assert_eq!(shop.printer_secret("p1").await.unwrap().as_deref(), Some("12345678"));
        assert_eq!(shop.printer_secret("p2").await.unwrap(), None);
        assert_eq!(shop.printer_secret("p9").await.unwrap(), None);
        shop.close().await;

        let shop = place.shop().await;
        assert_eq!(shop.printer("p1").await.unwrap(), Some(kept));
        assert_eq!(shop.printer_secret("p1").await.unwrap().as_deref(), Some("12345678"));
        shop.remove_printer("p1").await.unwrap();
        assert_eq!(shop.printer("p1").await.unwrap(), None);
        assert_eq!(shop.printer_secret("p1").await.unwrap(), None);
        assert_eq!(shop.printers().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_name_with_nul_stops_nobody() {
    for place in Place::both() {
        let shop = place.shop().await;
        let odd = printer("p1", "an\0na");
        shop.put_printer(&odd, None).await.unwrap();
        assert_eq!(shop.printer("p1").await.unwrap().unwrap().name, "anna");
    }
}

#[tokio::test]
async fn folders_and_channels_come_and_go() {
    for place in Place::both() {
        let shop = place.shop().await;
        let folder = Folder {
            id: "f1".into(),
            path: "/srv/teile".into(),
            recursive: true,
            enabled: true,
            created_us: 1,
        };
        shop.put_folder(&folder).await.unwrap();
        let other = Folder { id: "f2".into(), ..folder.clone() };
        assert!(matches!(shop.put_folder(&other).await, Err(Error::NameTaken(_))));
        let off = Folder { enabled: false, ..folder };
        shop.put_folder(&off).await.unwrap();
        assert_eq!(shop.folders().await.unwrap(), [off]);
        shop.remove_folder("f1").await.unwrap();
        assert_eq!(shop.folders().await.unwrap(), []);

        let channel = Channel {
            id: "c1".into(),
            name: "werkstatt".into(),
            kind: "ntfy".into(),
            events: "[\"failed\"]".into(),
            enabled: true,
            last_us: None,
            last_problem: None,
            created_us: 1,
        };
        shop.put_channel(&channel, Some("{\"token\":\"geheim\"}")).await.unwrap();
        let other = Channel { id: "c2".into(), ..channel.clone() };
        assert!(matches!(shop.put_channel(&other, None).await, Err(Error::NameTaken(_))));
        shop.channel_told("c1", 5, Some("no route")).await.unwrap();
        shop.put_channel(&Channel { enabled: false, ..channel.clone() }, None).await.unwrap();
        let told = Channel {
            enabled: false,
            last_us: Some(5),
            last_problem: Some("no route".into()),
            ..channel
        };
        assert_eq!(shop.channels().await.unwrap(), std::slice::from_ref(&told));
        assert_eq!(shop.channel("c1").await.unwrap(), Some(told));
        let settings = shop.channel_settings("c1").await.unwrap();
        assert_eq!(settings.as_deref(), Some("{\"token\":\"geheim\"}"));
        shop.channel_told("c1", 6, None).await.unwrap();
        assert_eq!(shop.channel("c1").await.unwrap().unwrap().last_problem, None);
        shop.remove_channel("c1").await.unwrap();
        assert_eq!(shop.channels().await.unwrap(), []);
        assert_eq!(shop.channel_settings("c1").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_backup_is_a_shop() {
    for place in Place::both() {
        let shop = place.shop().await;
        shop.put_printer(&printer("p1", "anna"), Some("12345678")).await.unwrap();
        let file = place.dir.path().join("backup.db");
        let done = shop.backup_to(&file).await;
        if place.server.is_some() {
            let error = done.unwrap_err();
            assert!(matches!(error, Error::NotAFile) && error.to_string().contains("pg_dump"));
            continue;
        }
        done.unwrap();
        assert!(shop.backup_to(&file).await.is_err(), "it is there already");
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        shop.put_printer(&printer("p2", "bert"), None).await.unwrap();
        let backup = open(file.to_str().unwrap(), KEY).await.unwrap();
        assert_eq!(backup.printers().await.unwrap().len(), 1);
        assert_eq!(backup.printer_secret("p1").await.unwrap().as_deref(), Some("12345678"));
    }
}

#[tokio::test]
async fn errors_and_debug_texts_tell_no_password() {
    let key = || SecretKey::new(KEY);
    for url in [
        "postgres://anna:hunter2@127.0.0.1:1/shop",
        "postgres://127.0.0.1:1/shop?user=anna&password=hunter2",
        "postgres://anna:hunter2@127.0.0.1:x/shop",
        "postgres://anna:hunter2@127.0.0.1/shop?sslmode=hunter",
    ] {
        let error = Shop::connect(url, key()).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    if let Some(place) = Place::postgres() {
        let url = format!("{}&password=hunter2", place.address());
        let shop = Shop::connect(&url, key()).await.unwrap();
        assert!(!format!("{shop:?}").contains("hunter2"));
    }
}
