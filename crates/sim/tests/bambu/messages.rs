//! Requests and reports (OpenBambuAPI `mqtt.md`).

use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{ConnectReturnCode, Packet, Publish, SubscribeReasonCode};
use serde_json::{Value, json};
use sim::printer::{Act, End, Fault};

use crate::doors::{Mqtt, SUCCESS};
use crate::{TEN_MINUTES, limited, printer};

#[tokio::test]
async fn who_comes_with_the_code_has_one_of_four_places() {
    limited(async {
        let printer = printer("A1").await;
        let spec = printer.spec();
        let wrong = Mqtt::connect(spec, "a", "00000000", 60).await.unwrap().err();
        assert_eq!(wrong, Some(ConnectReturnCode::NotAuthorized));
        let mut clients = Vec::new();
        for id in ["a", "b", "c", "d"] {
            clients.push(Mqtt::connect(spec, id, &spec.secret, 60).await.unwrap().unwrap());
        }
        let fifth = Mqtt::connect(spec, "e", &spec.secret, 60).await.unwrap().err();
        assert_eq!(fifth, Some(ConnectReturnCode::ServiceUnavailable));
        let mut again = Mqtt::connect(spec, "b", &spec.secret, 60).await.unwrap().unwrap();
        assert!(clients[1].packet().await.is_err(), "another has its name now");
        again.send(&Packet::PingReq).await.unwrap();
        assert_eq!(again.packet().await.unwrap(), Packet::PingResp);
        let bad = again.subscribe("device/#/report").await;
        assert_eq!(bad, [SubscribeReasonCode::Failure]);
        assert_eq!(again.subscribe("device/FARHUBA1/report").await, [SUCCESS]);
        let topic = "device/FARHUBA1/request";
        let mut publish =
            Publish::new(topic, QoS::AtLeastOnce, r#"{"info":{"command":"get_version"}}"#);
        publish.pkid = 5;
        again.send(&Packet::Publish(publish)).await.unwrap();
        let two = [again.packet().await.unwrap(), again.packet().await.unwrap()];
        assert!(two.iter().any(|packet| matches!(packet, Packet::PubAck(ack) if ack.pkid == 5)));
        let said = two.iter().find_map(|packet| match packet {
            Packet::Publish(publish) => serde_json::from_slice::<Value>(&publish.payload).ok(),
            _ => None,
        });
        let modules = &said.unwrap()["info"]["module"];
        assert_eq!((&modules[0]["name"], &modules[0]["sn"]), (&json!("ota"), &json!("FARHUBA1")));
    })
    .await;
}

#[tokio::test]
async fn who_promises_to_speak_and_does_not_is_let_go() {
    limited(async {
        let printer = printer("P1S").await;
        let spec = printer.spec();
        let mut client = Mqtt::connect(spec, "", &spec.secret, 1).await.unwrap().unwrap();
        assert!(client.packet().await.is_err());
    })
    .await;
}

#[tokio::test]
async fn the_whole_report_has_the_types_of_real_ones() {
    limited(async {
        for model in ["A1", "A1 mini", "P1S", "X1C"] {
            let printer = printer(model).await;
            let whole = Mqtt::of(printer.spec()).await.whole().await;
            assert_eq!(whole["command"], "push_status");
            assert_eq!(whole["gcode_state"], "IDLE");
            for number in [
                "mc_percent",
                "mc_remaining_time",
                "layer_num",
                "print_error",
                "home_flag",
                "nozzle_temper",
                "spd_lvl",
                "stg_cur",
            ] {
                assert!(whole[number].is_number(), "{model} {number}");
            }
            for text in [
                "cooling_fan_speed",
                "gcode_file_prepare_percent",
                "task_id",
                "wifi_signal",
                "gcode_start_time",
                "nozzle_diameter",
                "sequence_id",
                "mc_print_stage",
            ] {
                assert!(whole[text].is_string(), "{model} {text}");
            }
            let units = whole["ams"]["ams"].as_array().unwrap();
            assert_eq!(units.len(), usize::from(model != "A1 mini"));
            if let Some(unit) = units.first() {
                assert_eq!(unit["tray"][3], json!({"id": "3"}), "an empty tray");
                assert_eq!(whole["ams"]["tray_exist_bits"], "7");
            }
            assert_eq!(whole["vt_tray"]["id"], "254");
            assert_eq!(whole["sdcard"], true);
            assert_eq!(whole["net"]["info"][0]["ip"], u32::from_le_bytes([127, 0, 0, 1]));
            assert_eq!(whole["fun"].is_string(), model != "P1S");
        }
    })
    .await;
}

#[tokio::test]
async fn a_project_is_printed_from_request_to_finish() {
    limited(async {
        let printer = printer("P1S").await;
        printer.put_file("cache/part.gcode.3mf", TEN_MINUTES.to_vec());
        let mut client = Mqtt::of(printer.spec()).await;
        client.whole().await;
        let project = json!({"param": "Metadata/plate_2.gcode",
            "url": "ftp:///cache/part.gcode.3mf", "subtask_name": "part", "use_ams": true,
            "task_id": "4294967296", "subtask_id": 77, "ams_mapping": [-1, 2]});
        assert_eq!(client.print("project_file", &project).await["result"], "success");
        let mut merged = Value::Null;
        let mut states = Vec::new();
        let mut last_percent = 0;
        while merged["gcode_state"] != "FINISH" {
            let message = client.message().await["print"].clone();
            assert_eq!(message["msg"], 1, "only what changed: {message}");
            merge(&mut merged, &message);
            let percent = merged["mc_percent"].as_u64().unwrap_or(0);
            assert!(percent >= last_percent);
            last_percent = percent;
            if let Some(state) = message["gcode_state"].as_str() {
                states.push(state.to_owned());
            }
            if merged["gcode_state"] == "RUNNING" {
                assert_eq!(merged["gcode_file"], "cache/part.gcode.3mf");
                assert_eq!(merged["ams"]["tray_now"], "2");
                assert_eq!(merged["task_id"], "2147483647", "of 32 bits");
                assert_eq!(merged["subtask_id"], "77");
                assert_eq!(merged["print_type"], "local");
            }
        }
        assert_eq!(states, ["PREPARE", "RUNNING", "FINISH"]);
        assert_eq!((&merged["mc_percent"], &merged["total_layer_num"]), (&json!(100), &json!(50)));
        assert_eq!(client.whole().await["print_type"], "idle");
        assert_eq!(printer.truth()[0].ended.unwrap().1, End::Finished);
    })
    .await;
}

#[tokio::test]
async fn a_pause_a_speed_and_the_end_by_a_person() {
    limited(async {
        let printer = printer("A1").await;
        printer.put_file("x.3mf", TEN_MINUTES.to_vec());
        let mut client = Mqtt::of(printer.spec()).await;
        assert_eq!(client.print("pause", &json!({"param": ""})).await["result"], "fail");
        start(&mut client).await;
        client.until(|m| m["print"]["stg_cur"] == 0 && m["print"]["msg"].is_number()).await;
        let pause = client.print("pause", &json!({"param": ""})).await;
        assert_eq!((&pause["result"], &pause["sequence_id"]), (&json!("success"), &json!("17")));
        let whole = client.whole().await;
        assert_eq!((&whole["gcode_state"], &whole["stg_cur"]), (&json!("PAUSE"), &json!(16)));
        client.print("print_speed", &json!({"param": "3"})).await;
        client.print("skip_objects", &json!({"obj_list": [5, 9]})).await;
        client
            .ask(&json!({"system": {"sequence_id": "1", "command": "ledctrl",
            "led_node": "chamber_light", "led_mode": "off"}}))
            .await;
        let whole = client.whole().await;
        assert_eq!((&whole["spd_lvl"], &whole["spd_mag"]), (&json!(3), &json!(124)));
        assert_eq!(whole["s_obj"], json!([5, 9]));
        assert_eq!(printer.skipped(), [5, 9]);
        assert_eq!(whole["lights_report"][0]["mode"], "off");
        client.print("stop", &json!({"param": ""})).await;
        let whole = client.whole().await;
        assert_eq!(whole["gcode_state"], "FAILED");
        assert_eq!(whole["print_error"], 0x0300_400C);
        client.print("clean_print_error", &json!({})).await;
        assert_eq!(client.whole().await["print_error"], 0);
        assert_eq!(printer.truth()[0].ended.unwrap().1, End::Cancelled);
    })
    .await;
}

#[tokio::test]
async fn a_second_project_ends_the_first() {
    limited(async {
        let printer = printer("A1 mini").await;
        printer.put_file("x.3mf", TEN_MINUTES.to_vec());
        let mut client = Mqtt::of(printer.spec()).await;
        start(&mut client).await;
        let again = client.print("project_file", &project("ftp://x.3mf")).await;
        assert_eq!(again["result"], "fail");
        let whole = client.whole().await;
        assert_eq!(whole["gcode_state"], "FAILED");
        assert_eq!(whole["print_error"], 0x0500_4004);
        assert_eq!(printer.truth().len(), 1);
        assert_eq!(printer.truth()[0].ended.unwrap().1, End::Cancelled);
        start(&mut client).await;
        assert_eq!(client.whole().await["print_error"], 0);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_printed_says_why() {
    limited(async {
        let printer = printer("X1C").await;
        printer.put_file("x.3mf", TEN_MINUTES.to_vec());
        printer.put_file("x.gcode", TEN_MINUTES.to_vec());
        let mut client = Mqtt::of(printer.spec()).await;
        let mut mapped = project("ftp:///x.3mf");
        mapped["use_ams"] = true.into();
        mapped["ams_mapping"] = json!([3]);
        let mut plate = project("ftp:///x.3mf");
        plate["param"] = "nonsense".into();
        for (request, error) in [
            (project("ftp:///gone.3mf"), 0x0500_400B_u32),
            (project("ftp:///x.gcode"), 0x0500_4002),
            (mapped, 0x07FF_8012),
            (plate, 0x0500_4003),
        ] {
            assert_eq!(client.print("project_file", &request).await["result"], "fail");
            let whole = client.whole().await;
            assert_eq!(whole["print_error"], error, "{request}");
            assert_eq!(whole["gcode_state"], "IDLE");
        }
        assert!(printer.truth().is_empty());
        let plain = client.print("gcode_file", &json!({"param": "/sdcard/x.gcode"})).await;
        assert_eq!(plain["result"], "success");
        assert_eq!(printer.truth().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_happens_at_the_panel_is_told() {
    limited(async {
        let printer = printer("P1P").await;
        printer.put_file("/card.gcode", TEN_MINUTES.to_vec());
        let mut client = Mqtt::of(printer.spec()).await;
        client.whole().await;
        printer.act(Act::Start { path: "/card.gcode".into() });
        let begun = client.until(|m| m["print"]["gcode_state"] == "PREPARE").await;
        assert_eq!(begun["print"]["subtask_name"], "card");
        printer.act(Act::Fail { code: "0300_8008".into(), text: String::new() });
        let failed = client.until(|m| m["print"]["gcode_state"] == "FAILED").await;
        assert_eq!(failed["print"]["print_error"], 0x0300_8008);
        printer.act(Act::Clear);
        client.until(|m| m["print"]["gcode_state"] == "IDLE").await;
        printer.act(Act::Fail { code: "0700_0100_0001_0001".into(), text: String::new() });
        let hms = client.until(|m| m["print"]["hms"][0].is_object()).await;
        assert_eq!(hms["print"]["hms"][0], json!({"attr": 0x0700_0100, "code": 0x0001_0001}));
        printer.set_fault(Fault::NoStorage);
        client.until(|m| m["print"]["sdcard"] == false).await;
    })
    .await;
}

async fn start(client: &mut Mqtt) {
    let started = client.print("project_file", &project("ftp:///x.3mf")).await;
    assert_eq!(started["result"], "success");
}

fn project(url: &str) -> Value {
    json!({"param": "Metadata/plate_1.gcode", "url": url, "use_ams": false})
}

/// As a client does it, as far as it matters here.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
