//! Printers that are broken, off, or without a cable.

use std::time::{Duration, Instant};

use rumqttc::mqttbytes::v4::ConnectReturnCode;
use serde_json::json;
use sim::printer::{End, Fault};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::doors::{Mqtt, connector, tls};
use crate::{TEN_MINUTES, limited, printer};

#[tokio::test]
async fn without_developer_mode_commands_are_refused() {
    limited(async {
        let a1 = printer("A1").await;
        a1.set_fault(Fault::DeveloperModeOff);
        let mut client = Mqtt::of(a1.spec()).await;
        let whole = client.whole().await;
        let fun = u64::from_str_radix(whole["fun"].as_str().unwrap(), 16).unwrap();
        assert!(fun & 0x2000_0000 != 0);
        let refused = client.print("gcode_line", &json!({"param": "M140 S60\n"})).await;
        assert_eq!(refused["result"], "failed");
        assert_eq!(refused["reason"], "mqtt message verify failed");
        assert_eq!(client.whole().await["bed_target_temper"], 0.0);
        a1.set_fault(Fault::None);
        let done = client.print("gcode_line", &json!({"param": "M140 S60\n"})).await;
        assert_eq!(done["result"], "success");

        let p1s = printer("P1S").await;
        p1s.set_fault(Fault::DeveloperModeOff);
        let mut client = Mqtt::of(p1s.spec()).await;
        client.ask(&json!({"print": {"command": "gcode_line", "param": "M140 S60\n"}})).await;
        let whole = client.whole().await;
        assert_eq!(whole["hms"], json!([{"attr": 0x0500_0500, "code": 0x0001_0007}]));
        assert_eq!(whole["bed_target_temper"], 0.0);
    })
    .await;
}

#[tokio::test]
async fn a_silent_printer_accepts_and_a_slow_one_answers_late() {
    limited(async {
        let printer = printer("A1").await;
        let spec = printer.spec();
        printer.set_fault(Fault::Silent);
        let address = (spec.ip, spec.port);
        TcpStream::connect(address).await.unwrap();
        let connector = connector();
        let quiet = timeout(Duration::from_millis(300), tls(&connector, spec.ip, spec.port));
        assert!(quiet.await.is_err(), "no answer");
        let late = Duration::from_millis(250);
        printer.set_fault(Fault::Slow(late));
        let begin = Instant::now();
        let mut client = Mqtt::of(spec).await;
        client.whole().await;
        assert!(begin.elapsed() >= late * 3, "connect, subscribe, report");
    })
    .await;
}

#[tokio::test]
async fn another_code_throws_everybody_out() {
    limited(async {
        let printer = printer("A1").await;
        let spec = printer.spec();
        let mut client = Mqtt::of(spec).await;
        printer.set_fault(Fault::WrongSecret);
        while client.packet().await.is_ok() {}
        let refused = Mqtt::connect(spec, "", &spec.secret, 60).await.unwrap().err();
        assert_eq!(refused, Some(ConnectReturnCode::NotAuthorized));
        printer.set_fault(Fault::Drops);
        let mut client = Mqtt::of(spec).await;
        while client.packet().await.is_ok() {}
    })
    .await;
}

#[tokio::test]
async fn a_garbled_printer_says_everything_that_is_wrong() {
    limited(async {
        let printer = printer("P1S").await;
        let mut client = Mqtt::of(printer.spec()).await;
        printer.set_fault(Fault::Garbled);
        let (mut broken, mut long, mut no_text) = (false, false, false);
        while !(broken && long && no_text) {
            client.ask(&json!({"pushing": {"command": "pushall"}})).await;
            let heard = client.heard().await.unwrap();
            long |= heard.len() > 500_000;
            no_text |= std::str::from_utf8(&heard).is_err();
            broken |= serde_json::from_slice::<serde_json::Value>(&heard).is_err();
        }
        printer.set_fault(Fault::None);
        let healed = timeout(Duration::from_secs(10), async {
            loop {
                client.ask(&json!({"pushing": {"command": "pushall"}})).await;
                let heard = client.heard().await.unwrap();
                let read = serde_json::from_slice::<serde_json::Value>(&heard);
                if read.is_ok_and(|message| message["print"]["msg"] == 0) {
                    break;
                }
            }
        });
        healed.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn without_power_a_print_is_lost_and_without_a_cable_it_is_not() {
    limited(async {
        let mut printer = printer("A1").await;
        let spec = printer.spec().clone();
        printer.put_file("x.3mf", TEN_MINUTES.to_vec());
        let project = json!({"param": "Metadata/plate_1.gcode", "url": "ftp:///x.3mf"});
        let mut client = Mqtt::of(&spec).await;
        client.print("project_file", &project).await;
        printer.cut().await;
        while client.packet().await.is_ok() {}
        assert!(TcpStream::connect((spec.ip, spec.port)).await.is_err());
        printer.mend().await.unwrap();
        let mut client = Mqtt::of(&spec).await;
        let whole = client.whole().await;
        assert_ne!(whole["gcode_state"], "IDLE", "it went on");
        if whole["gcode_state"] != "FINISH" {
            client.until(|m| m["print"]["gcode_state"] == "FINISH").await;
        }
        client.print("project_file", &project).await;
        printer.off().await;
        while client.packet().await.is_ok() {}
        printer.on().await.unwrap();
        let mut client = Mqtt::of(&spec).await;
        assert_eq!(client.whole().await["gcode_state"], "IDLE");
        let ends: Vec<_> = printer.truth().iter().map(|print| print.ended.unwrap().1).collect();
        assert_eq!(ends, [End::Finished, End::Failed]);
    })
    .await;
}
