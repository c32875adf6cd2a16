//! What a peer asks of a device, in any order. Whatever it is, the window holds and the device
//! gets only what it can do.

#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use usb::serve::checks::Checks;
use usb::{Command, Completion};
use wire::usb::{Complete, Submit, Up, Window};

#[derive(Debug, Arbitrary)]
enum Step {
    Submit {
        endpoint: u8,
        id: u8,
        length: u32,
        setup: Option<[u8; 8]>,
        packets: Vec<u32>,
    },
    /// With data as long as it should be.
    Out {
        endpoint: u8,
        id: u8,
        length: u8,
    },
    Cancel {
        endpoint: u8,
        id: u8,
    },
    Reset {
        endpoint: u8,
        id: u8,
    },
    Complete {
        endpoint: u8,
        id: u8,
    },
    Left {
        id: u8,
    },
    Abandon {
        endpoint: u8,
    },
}

const WINDOW: Window = Window { urbs: 8, bytes: 4096 };

fn up(checks: &mut Checks, endpoint: u8, up: Up, data: Bytes) {
    if let Ok(Some(Command::Submit(urb))) = checks.up(endpoint, up, data) {
        let sum: u64 = urb.submit.packets.iter().map(|length| u64::from(*length)).sum();
        assert!(urb.submit.packets.is_empty() || sum == u64::from(urb.submit.length));
        assert_eq!(urb.submit.setup.is_some(), urb.endpoint == 0);
        assert!(urb.data.is_empty() || urb.data.len() == urb.submit.length as usize);
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let mut checks = Checks::new(WINDOW);
    for step in steps {
        match step {
            Step::Submit { endpoint, id, length, setup, packets } => {
                let id = u32::from(id);
                let submit = Submit { id, length, setup, packets, ..Submit::default() };
                up(&mut checks, endpoint, Up::Submit(submit), Bytes::new());
            }
            Step::Out { endpoint, id, length } => {
                let (id, data) = (u32::from(id), vec![0; usize::from(length)].into());
                let submit = Submit { id, length: u32::from(length), ..Submit::default() };
                up(&mut checks, endpoint, Up::Submit(submit), data);
            }
            Step::Cancel { endpoint, id } => {
                up(&mut checks, endpoint, Up::Cancel { id: u32::from(id) }, Bytes::new());
            }
            Step::Reset { endpoint, id } => {
                up(&mut checks, endpoint, Up::Reset { id: u32::from(id) }, Bytes::new());
            }
            Step::Complete { endpoint, id } => {
                let complete = Complete { id: u32::from(id), ..Complete::default() };
                checks.completed(&Completion { endpoint, complete, data: Bytes::new() });
            }
            Step::Left { id } => checks.left(u32::from(id)),
            Step::Abandon { endpoint } => drop(checks.abandon(endpoint)),
        }
        let (urbs, bytes) = checks.under_way();
        assert!(urbs <= WINDOW.urbs as usize && bytes <= u64::from(WINDOW.bytes));
    }
});
