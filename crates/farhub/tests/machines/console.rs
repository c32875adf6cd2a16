//! What a page of a machine does, from a command line: of the hub that has it, and of a peer.

use super::*;

/// What a command says to lines from a pipe: its status, stdout and stderr.
fn piped(hub: &Hub, args: &[&str], lines: &str) -> (i32, String, String) {
    let mut command = farhub(hub.data.path());
    command.args(args).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // one that refuses the first line does not read the rest
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn console(hub: &Hub, lines: &str) -> (i32, String, String) {
    piped(hub, &["console", "garage/laser", "--wait", "100ms"], lines)
}

fn show(hub: &Hub) -> Value {
    hub.json(&["machine", "show", "garage/laser"])
}

#[test]
fn lines_go_to_a_machine_and_what_it_says_comes_back() {
    let laser = Simulated::laser(1, grbl::Options::default(), Port::default()).unwrap();
    let (garage, office) = paired(&laser, "laser");
    garage.run(&["machine", "set", "laser", "--profile", "grbl"]);
    for hub in [&office, &garage] {
        let (status, said, problem) = console(hub, "$I\n; a remark\n$#\n");
        assert_eq!((status, problem.as_str()), (0, ""), "{said}");
        assert!(said.starts_with("[VER:") && said.ends_with("]\nok\n"), "{said}");
        assert_eq!(said.lines().filter(|line| *line == "ok").count(), 2, "{said}");
        assert!(!said.contains('<'), "no reports: {said}");
    }
    // more than the controller holds at once, and each line once
    let moves: String = (1..=40).map(|x| format!("G0 X{x}.123 Y{x}.456\n")).collect();
    let (status, said, problem) = console(&office, &moves);
    assert_eq!((status, said.as_str(), problem.as_str()), (0, &*"ok\n".repeat(40), ""));
    let (status, said, problem) = console(&office, "G0 X1\nG999\nG0 X2\n");
    assert_eq!((status, said.as_str()), (1, "ok\nerror:20\n"));
    assert!(problem.contains("line 2 was refused: error:20"), "{problem}");

    let machine = show(&office);
    assert_eq!((&machine["state"]["profile"], &machine["role"]), (&"grbl".into(), &"use".into()));
    assert!(machine["state"]["status"]["machine"].is_array(), "{machine}");
    let json = ["--json", "console", "garage/laser", "--wait", "100ms"];
    let (_, said, _) = piped(&office, &json, "$X\n");
    assert_eq!(said, "{\"sent\":\"$X\"}\n{\"said\":\"ok\"}\n");
}

#[test]
fn a_machine_is_set_armed_stopped_and_cleared_by_commands() {
    let laser = Simulated::laser(1, grbl::Options::default(), Port::default()).unwrap();
    let (garage, office) = paired(&laser, "laser=control");
    let set = ["machine", "set", "laser", "--profile", "grbl", "--arming", "on", "--json"];
    assert_eq!(garage.json(&set)["arming"], true);
    let problem = office.fails(&["machine", "set", "garage/laser", "--arming", "off"]);
    assert!(problem.contains("--role admin"), "{problem}");
    let (status, said, _) = console(&office, "M3 S1000\nG1 X10 F100\n");
    assert_eq!((status, said.lines().last()), (1, Some("error:9")), "{said}");
    assert!(said.starts_with("[MSG:SAFE: not armed"), "{said}");
    assert_eq!(show(&office)["state"]["arming"], "safe");

    let problem = office.fails(&["machine", "arm", "garage/laser"]);
    assert!(problem.contains("hint: farhub attach garage/laser"), "{problem}");
    let mut port = attach(&office);
    say(&mut port, "$X\n", "ok");
    let armed = office.json(&["machine", "arm", "garage/laser", "--for", "10m"]);
    assert_eq!(armed["state"]["arming"]["armed"]["by"], "office");
    say(&mut port, "M3 S10\nM5\n", "ok\r\nok");
    let (status, _, problem) = console(&office, "$$\n");
    assert_eq!(status, 1);
    assert!(problem.contains("farhub detach garage/laser"), "{problem}");
    let (status, _, problem) = console(&garage, "$$\n");
    assert_eq!(status, 1);
    assert!(problem.contains("office uses it"), "{problem}");
    let safe = office.json(&["machine", "disarm", "garage/laser"]);
    assert_eq!(safe["state"]["arming"], "safe");
    let attached = office.run(&["attached"]);
    assert!(attached.contains("stop path") && !attached.contains("BROKEN"), "{attached}");
    drop(port);
    office.run(&["detach", "garage/laser"]);
    let began = Instant::now();
    while !show(&office)["state"]["user"].is_null() {
        assert!(began.elapsed() < SOON, "it stays in use");
    }

    office.run(&["stop", "garage/laser"]);
    let (status, said, _) = console(&office, "G0 X1\n");
    assert_eq!((status, said.lines().last()), (1, Some("error:9")), "{said}");
    let cleared = office.json(&["machine", "clear", "garage/laser"]);
    assert!(cleared["state"]["stopped"].is_null(), "{cleared}");
    assert_eq!(console(&office, "$X\nG0 X1\n").0, 0);
}
