//! Secrets, seen by somebody who has the database and not the key.

use crate::place::Place;
use crate::story::printer;
use sqlx::{Connection, PgConnection, SqliteConnection};
use store::Error;

#[tokio::test]
async fn a_wrong_key_opens_nothing_and_breaks_nothing() {
    for place in Place::both() {
        let shop = place.shop().await;
        shop.put_printer(&printer("p1", "anna"), Some("12345678")).await.unwrap();
        let other = place.shop_with([1; 32]).await;
        let refused = other.printer_secret("p1").await.unwrap_err();
        assert!(matches!(&refused, Error::Sealed(_)));
        assert!(!refused.to_string().contains("12345678"));
        // the rest can be read, and the secret be entered again
        assert_eq!(other.printers().await.unwrap().len(), 1);
        other.put_printer(&printer("p1", "anna"), None).await.unwrap();
        assert_eq!(shop.printer_secret("p1").await.unwrap().as_deref(), Some("12345678"));
        other.put_printer(&printer("p1", "anna"), Some("neu")).await.unwrap();
        assert_eq!(other.printer_secret("p1").await.unwrap().as_deref(), Some("neu"));
        assert!(matches!(shop.printer_secret("p1").await, Err(Error::Sealed(_))));
    }
}

#[tokio::test]
async fn a_secret_is_nowhere_in_the_database() {
    let secret = "correct-horse-battery";
    for place in Place::both() {
        let shop = place.shop().await;
        shop.put_printer(&printer("p1", "anna"), Some(secret)).await.unwrap();
        let sealed = raw(&place, "SELECT secret FROM printers WHERE id = 'p1'").await.unwrap();
        assert_eq!(sealed.len(), 12 + secret.len() + 16);
        shop.put_printer(&printer("p1", "anna"), Some(secret)).await.unwrap();
        let again = raw(&place, "SELECT secret FROM printers WHERE id = 'p1'").await.unwrap();
        assert_ne!(sealed, again, "a nonce is used once");
        shop.close().await;
        if let Some(server) = &place.server {
            server.stop("fast");
        }
        let mut files = 0;
        contents(place.dir.path(), &mut |bytes| {
            files += 1;
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
        });
        assert!(files > 0);
    }
}

#[tokio::test]
async fn a_secret_that_was_moved_does_not_open() {
    for place in Place::both() {
        let shop = place.shop().await;
        shop.put_printer(&printer("p1", "anna"), Some("12345678")).await.unwrap();
        shop.put_printer(&printer("p2", "bert"), Some("87654321")).await.unwrap();
        raw(
            &place,
            "UPDATE printers SET secret = (SELECT secret FROM printers WHERE id = 'p1') \
                     WHERE id = 'p2' RETURNING secret",
        )
        .await;
        assert!(matches!(shop.printer_secret("p2").await, Err(Error::Sealed(_))));
        assert_eq!(shop.printer_secret("p1").await.unwrap().as_deref(), Some("12345678"));
    }
}

/// Past the shop.
async fn raw(place: &Place, sql: &'static str) -> Option<Vec<u8>> {
    let row: (Option<Vec<u8>>,) = if place.server.is_some() {
        let mut database = PgConnection::connect(&place.address()).await.unwrap();
        sqlx::query_as(sql).fetch_one(&mut database).await.unwrap()
    } else {
        let url = format!("sqlite://{}", place.address());
        let mut database = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query_as(sql).fetch_one(&mut database).await.unwrap()
    };
    row.0
}

fn contents(dir: &std::path::Path, each: &mut impl FnMut(&[u8])) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            contents(&path, each);
        } else if path.is_file() {
            each(&std::fs::read(path).unwrap());
        }
    }
}
