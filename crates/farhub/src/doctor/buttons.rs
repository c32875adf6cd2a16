//! Stop buttons: whether each would be noticed, and what it is for.
//!
//! A hub that runs knows; else the device is looked at.

use super::{Area, Finding, In};
use crate::root::Root;
use crate::service::Account;
use hub::StopButton;
use hub::view::{self, Contact};
use rustix::fs::{Access, access};
use serial::button::Source;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

const SHARE: In = In(Area::Share);

pub(super) fn look(root: &Root, set: &[StopButton], state: Option<&view::State>) -> Vec<Finding> {
    let finding = |button: &StopButton| match state {
        Some(state) => running(root, button, state),
        None => vec![node(root, button).unwrap_or_else(|| {
            SHARE.ok(format!("the stop button {} may be used", button.button.name))
        })],
    };
    set.iter().flat_map(finding).collect()
}

/// As the hub sees it.
fn running(root: &Root, set: &StopButton, state: &view::State) -> Vec<Finding> {
    let name = &set.button.name;
    let Some(shown) = state.stop_buttons.iter().find(|shown| shown.name == *name) else {
        let told = format!("the hub runs without the stop button {name}: it was set later");
        return vec![SHARE.fail(told, RESTART)];
    };
    let mut findings = vec![match &shown.contact {
        Contact::Ready => SHARE.ok(format!("the stop button {name} is ready")),
        Contact::Open => {
            let told = format!("the stop button {name} is open: no machine can be armed");
            SHARE.warn(told, "close it, then take the stop back on the machine's page")
        }
        Contact::Lost { why } => node(root, set).unwrap_or_else(|| {
            let fix = "see [[stop_button]] in docs/farhub.sample.toml";
            SHARE.fail(format!("the stop button {name} is lost: {why}"), fix)
        }),
    }];
    findings.extend(shown.unknown.iter().map(|machine| {
        let told = format!("the stop button {name} is for {machine}, and no device here is called");
        let fix = format!("farhub share DEVICE --name {machine}, or correct its machines");
        SHARE.fail(format!("{told} so"), fix)
    }));
    findings
}

/// What is wrong with its device node.
fn node(root: &Root, set: &StopButton) -> Option<Finding> {
    let name = &set.button.name;
    let (Source::Key { input: path, .. } | Source::Line { chip: path, .. }) = &set.button.source;
    let node = root.at(&path.display().to_string());
    let Ok(is) = node.metadata() else {
        let told = format!("the stop button {name} is not there: {}", path.display());
        return Some(SHARE.fail(told, "plug it in, or correct its path in farhub.toml"));
    };
    let service = Account::of_service(root);
    let may = match &service {
        Some(account) => account.may_read(is.uid(), is.gid(), is.permissions().mode()),
        None => access(&node, Access::READ_OK).is_ok(),
    };
    if may {
        return None;
    }
    let who = service.as_ref().map_or("this user", |account| account.name.as_str());
    let group = service.as_ref().map_or("farhub", |account| account.group.as_str());
    let rule = rule(root, &set.button.source, &node, group);
    let fix = format!(
        "echo '{rule}' | sudo tee -a {RULES} && sudo udevadm control --reload && sudo udevadm \
         trigger --settle -c add {}",
        path.display()
    );
    Some(SHARE.fail(format!("{who} may not use the stop button {name}"), fix))
}

/// For this device alone: whoever may read every input device reads every password.
fn rule(root: &Root, source: &Source, node: &Path, group: &str) -> String {
    let kernel = node.canonicalize().unwrap_or(node.to_owned());
    let kernel = kernel.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let what = match source {
        Source::Key { .. } => {
            let id = |file: &str| {
                let id = root.text(&format!("/sys/class/input/{kernel}/device/id/{file}"));
                format!("ATTRS{{id/{file}}}==\"{}\"", id.unwrap_or_default())
            };
            let ids = [id("vendor"), id("product")].join(", ");
            format!("SUBSYSTEM==\"input\", KERNEL==\"event*\", {ids}")
        }
        Source::Line { .. } => format!("SUBSYSTEM==\"gpio\", KERNEL==\"{kernel}\""),
    };
    format!("{what}, GROUP=\"{group}\", MODE=\"0640\"")
}

/// After `50-udev-default.rules`, which gives input devices to a group of their own.
const RULES: &str = "/etc/udev/rules.d/70-farhub-stop-button.rules";
const RESTART: &str = "sudo systemctl restart farhub, or end `farhub up` and start it again";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Config};
    use crate::doctor::Verdict;
    use crate::root::tree;
    use std::fs::Permissions;

    const FOOT: &str = "[[stop_button]]\nname = \"foot\"\ninput = \"/dev/input/event3\"\n";
    const LID: &str = "[[stop_button]]\nname = \"lid\"\ngpio = \"/dev/gpiochip0\"\nline = 17\n";

    fn set(text: &str) -> Vec<StopButton> {
        config::parse::<Config>(text).unwrap().stop_button
    }

    fn state(buttons: serde_json::Value) -> view::State {
        serde_json::from_value(serde_json::json!({
            "hub": { "id": "", "name": "bench", "version": "", "demo": false, "web": null },
            "peers": [], "devices": [], "attachments": [], "stop_buttons": buttons
        }))
        .unwrap()
    }

    /// The service as user `farhub`, and a foot switch and a chip for root alone.
    fn computer() -> (tempfile::TempDir, Root) {
        let (folder, root) = tree(&[
            ("/dev/input/event3", ""),
            ("/dev/gpiochip0", ""),
            ("/sys/class/input/event3/device/id/vendor", "0c45\n"),
            ("/sys/class/input/event3/device/id/product", "7403\n"),
            ("/etc/systemd/system/farhub.service", "[Service]\nUser=farhub\n"),
            ("/etc/passwd", "root:x:0:0::/root:/bin/sh\nfarhub:x:4000:4001::/:/bin/false\n"),
            ("/etc/group", "farhub:x:4001:\n"),
        ]);
        for node in ["/dev/input/event3", "/dev/gpiochip0"] {
            std::fs::set_permissions(root.at(node), Permissions::from_mode(0o660)).unwrap();
        }
        (folder, root)
    }

    #[test]
    fn a_button_that_the_service_may_not_use_gets_a_rule_of_its_own() {
        let (_folder, root) = computer();
        let [foot, lid] = look(&root, &set(&[FOOT, LID].concat()), None).try_into().unwrap();
        assert_eq!((foot.verdict, lid.verdict), (Verdict::Fail, Verdict::Fail));
        assert_eq!(foot.message, "farhub may not use the stop button foot");
        let rule = "SUBSYSTEM==\"input\", KERNEL==\"event*\", ATTRS{id/vendor}==\"0c45\", \
                    ATTRS{id/product}==\"7403\", GROUP=\"farhub\", MODE=\"0640\"";
        assert!(foot.fix.unwrap().contains(rule));
        let rule = "SUBSYSTEM==\"gpio\", KERNEL==\"gpiochip0\", GROUP=\"farhub\"";
        assert!(lid.fix.unwrap().contains(rule));
        let open = Permissions::from_mode(0o664);
        std::fs::set_permissions(root.at("/dev/gpiochip0"), open).unwrap();
        assert_eq!(look(&root, &set(LID), None)[0].verdict, Verdict::Ok);
    }

    #[test]
    fn a_button_that_is_lost_or_for_nobody_must_be_mended() {
        let (_folder, root) = computer();
        let button = |contact: serde_json::Value, unknown: &[&str]| {
            state(serde_json::json!([
                { "name": "lid", "machines": null, "contact": contact, "unknown": unknown }
            ]))
        };
        let open = Permissions::from_mode(0o664);
        std::fs::set_permissions(root.at("/dev/gpiochip0"), open).unwrap();
        let of = |state: &view::State| look(&root, &set(LID), Some(state));
        assert_eq!(of(&button("ready".into(), &[]))[0].verdict, Verdict::Ok);
        assert_eq!(of(&button("open".into(), &[]))[0].verdict, Verdict::Warn);
        let lost = of(&button(serde_json::json!({ "lost": { "why": "gone" } }), &[])).remove(0);
        assert_eq!(
            (lost.verdict, lost.message.as_str()),
            (Verdict::Fail, "the stop button lid is lost: gone")
        );
        let unknown = of(&button("ready".into(), &["lasre"])).remove(1);
        assert_eq!(
            unknown.message,
            "the stop button lid is for lasre, and no device here is called so"
        );
        let later = of(&state(serde_json::json!([]))).remove(0);
        assert!(later.message.contains("it was set later"));
        std::fs::remove_file(root.at("/dev/gpiochip0")).unwrap();
        assert!(look(&root, &set(LID), None)[0].message.contains("is not there"));
    }
}
