//! Spools, customers and orders, and an import that brings them all.

use crate::jobs::job;
use crate::place::Place;
use crate::story::printer;
use store::shop::{
    Change, Customer, File, Import, Imported, JobCost, JobEvent, Keep, Material, MaterialUse,
    NewPrinter, Order, OrderFile, OrderJob,
};

fn material(id: &str) -> Material {
    Material {
        id: id.into(),
        kind: "PLA".into(),
        brand: "Prusament".into(),
        color: "Galaxy Black".into(),
        color_hex: Some("#111122".into()),
        vendor: "Foo, Bar GmbH".into(),
        diameter_um: Some(1750),
        whole_mg: Some(1_000_000),
        left_mg: Some(250_000),
        cents_per_kg: Some(2999),
        currency: "EUR".into(),
        active: true,
        extra: "{}".into(),
        created_us: 1,
        updated_us: 2,
        ..Material::default()
    }
}

fn customer(id: &str) -> Customer {
    Customer {
        id: id.into(),
        name: "Müller & Söhne".into(),
        email: Some("m@example.com".into()),
        extra: "{\"vat\":\"DE1\"}".into(),
        created_us: 1,
        updated_us: 1,
        ..Customer::default()
    }
}

fn order(id: &str, customer: Option<&str>) -> Order {
    Order {
        id: id.into(),
        title: "20 Halter".into(),
        customer_id: customer.map(Into::into),
        source: "Walk-in".into(),
        state: "planned".into(),
        payment: "partial".into(),
        price_cents: Some(4990),
        currency: "EUR".into(),
        due_us: Some(9),
        extra: "{}".into(),
        created_us: 3,
        updated_us: 4,
        ..Order::default()
    }
}

#[tokio::test]
async fn spools_customers_and_orders_come_and_go() {
    for place in Place::both() {
        let shop = place.shop().await;
        shop.put_material(&material("m1")).await.unwrap();
        let used = Material { left_mg: Some(1), created_us: 99, ..material("m1") };
        shop.put_material(&used).await.unwrap();
        assert_eq!(shop.materials().await.unwrap(), [Material { created_us: 1, ..used }]);
        shop.remove_material("m1").await.unwrap();
        assert_eq!(shop.materials().await.unwrap(), []);

        shop.put_customer(&customer("c1")).await.unwrap();
        assert_eq!(shop.customers().await.unwrap(), [customer("c1")]);
        shop.put_order(&order("o1", Some("c1"))).await.unwrap();
        shop.put_order(&order("o2", Some("nobody"))).await.unwrap_err();
        assert_eq!(shop.orders().await.unwrap(), [order("o1", Some("c1"))]);
        shop.remove_customer("c1").await.unwrap();
        assert_eq!(shop.orders().await.unwrap(), [order("o1", None)]);
        shop.remove_order("o1").await.unwrap();
        assert_eq!(shop.orders().await.unwrap(), []);
        shop.close().await;
    }
}

fn import() -> Import {
    let cost = JobCost {
        job_id: "j1".into(),
        business: true,
        customer: "Müller".into(),
        material_cents: Some(123),
        power_cents: None,
        currency: "EUR".into(),
        extra: "{}".into(),
    };
    let ended = JobEvent { time_us: 5, what: "finished".into(), ..JobEvent::default() };
    Import {
        printers: vec![NewPrinter {
            row: printer("p1", "anna"),
            secret: "12345678".into(),
            extra: "{\"webcam_url\":\"x\"}".into(),
        }],
        jobs: vec![(job("j1", "p1", 1), vec![ended], Some(cost))],
        files: vec![File {
            id: "f1".into(),
            place: "library".into(),
            path: "x/a.gcode".into(),
            name: "a.gcode".into(),
            bytes: None,
            changed_us: None,
            hash: None,
            state: "error".into(),
            problem: Some("gone".into()),
            note: String::new(),
            search: "a.gcode".into(),
            seen_us: 1,
            created_us: 1,
        }],
        materials: vec![material("m1")],
        material_uses: vec![MaterialUse {
            id: "u1".into(),
            material_id: "m1".into(),
            job_id: Some("j1".into()),
            used_mg: 12_345,
            cents: Some(37),
            currency: "EUR".into(),
            time_us: 5,
            extra: "{}".into(),
        }],
        customers: vec![customer("c1")],
        orders: vec![order("o1", Some("c1"))],
        order_jobs: vec![OrderJob {
            id: "oj1".into(),
            order_id: "o1".into(),
            job_id: Some("j1".into()),
            name: "Halter".into(),
            extra: "{}".into(),
        }],
        order_files: vec![OrderFile {
            id: "of1".into(),
            order_id: "o1".into(),
            file_id: Some("f1".into()),
            url: None,
            name: "a.gcode".into(),
            extra: "{}".into(),
            created_us: 1,
        }],
    }
}

#[tokio::test]
async fn an_import_is_all_or_nothing_and_once() {
    for place in Place::both() {
        let shop = place.shop().await;
        let mut changes = shop.changes();
        let all = Imported {
            printers: ["p1".to_owned()].into(),
            jobs: 1,
            files: 1,
            materials: 1,
            material_uses: 1,
            customers: 1,
            orders: 1,
            order_jobs: 1,
            order_files: 1,
        };
        assert_eq!(shop.import(&import(), Keep::Nothing).await.unwrap(), all);
        assert_eq!(shop.printers().await.unwrap(), []);
        let mut broken = import();
        broken.order_files[0].order_id = "nobody's".into();
        shop.import(&broken, Keep::Rows).await.unwrap_err();
        assert_eq!(shop.customers().await.unwrap(), []);

        assert_eq!(shop.import(&import(), Keep::Rows).await.unwrap(), all);
        assert_eq!(changes.recv().await.unwrap(), Change::Printer("p1".into()));
        assert_eq!(shop.printer_secret("p1").await.unwrap().as_deref(), Some("12345678"));
        let extra = shop.printer_extra("p1").await.unwrap();
        assert_eq!(extra.as_deref(), Some("{\"webcam_url\":\"x\"}"));
        let cost = shop.job_cost("j1").await.unwrap().unwrap();
        assert_eq!((cost.business, cost.material_cents), (true, Some(123)));
        assert_eq!(shop.job_events("j1").await.unwrap().len(), 1);
        assert_eq!(shop.material_uses("m1").await.unwrap(), import().material_uses);
        assert_eq!(shop.order_jobs(Some("o1")).await.unwrap(), import().order_jobs);
        assert_eq!(shop.order_files(None).await.unwrap(), import().order_files);

        // what people have done since stays
        shop.put_customer(&Customer { note: "zahlt bar".into(), ..customer("c1") }).await.unwrap();
        let again = shop.import(&import(), Keep::Rows).await.unwrap();
        assert_eq!(again, Imported::default());
        assert_eq!(shop.customers().await.unwrap()[0].note, "zahlt bar");

        // a content that is found later
        let mut found = import();
        found.files[0].hash = Some("ab".repeat(32));
        found.files[0].state = "local".into();
        found.files[0].problem = None;
        let again = shop.import(&found, Keep::Rows).await.unwrap();
        assert_eq!(again, Imported { files: 1, ..Imported::default() });
        let file = shop.file("f1").await.unwrap().unwrap();
        assert_eq!((file.state.as_str(), file.problem), ("local", None));
        shop.close().await;
    }
}
