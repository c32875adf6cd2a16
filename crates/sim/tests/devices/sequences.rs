//! Whatever is asked, nothing panics and every transfer completes exactly once.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use sim::{Fault, Simulated};
use std::collections::HashMap;
use std::time::Duration;
use usb::{Command, Urb};
use wire::usb::Submit;

#[derive(Clone, Debug)]
enum Step {
    Submit {
        endpoint: u8,
        submit: Submit,
        data: Vec<u8>,
    },
    /// Of the transfer that many before.
    Cancel(u32),
    Reset,
    Fault(Option<Fault>),
}

fn endpoint() -> impl Strategy<Value = u8> {
    prop_oneof![
        8 => prop::sample::select(vec![0x00, 0x80, 0x81, 0x02, 0x83]),
        1 => any::<u8>(),
    ]
}

fn setup() -> impl Strategy<Value = [u8; 8]> {
    let request_type =
        prop::sample::select(vec![0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x21, 0xa1, 0xc0]);
    let request =
        prop::sample::select(vec![0, 1, 3, 5, 6, 8, 9, 10, 11, 0x20, 0x21, 0x22, 0x23, 0xfe, 0xff]);
    let (value, index) = (0u16..4, prop::sample::select(vec![0u8, 1, 0x02, 0x81, 0x83]));
    let real = (request_type, request, value, index, 0u16..64).prop_map(
        |(request_type, request, value, index, length)| {
            let ([v0, v1], [l0, l1]) = (value.to_le_bytes(), length.to_le_bytes());
            [request_type, request, v0, v1, index, 0, l0, l1]
        },
    );
    prop_oneof![4 => real, 1 => any::<[u8; 8]>()]
}

/// A command wrapper that is valid, with any command.
fn wrapper() -> impl Strategy<Value = Vec<u8>> {
    let operation = prop::sample::select(vec![
        0x00, 0x03, 0x08, 0x0a, 0x12, 0x1a, 0x1b, 0x1e, 0x23, 0x25, 0x28, 0x2a, 0x2f, 0x35, 0x5a,
        0x88, 0x8a, 0x9e, 0xff,
    ]);
    let length = prop::sample::select(vec![0u32, 8, 36, 512, 1024, 4096, u32::MAX]);
    (operation, length, any::<bool>(), any::<[u8; 16]>(), any::<bool>()).prop_map(
        |(operation, length, is_in, mut command, is_small)| {
            command[0] = operation;
            if is_small {
                command[2..9].fill(0);
                command[7] &= 3;
            }
            let mut cbw = BytesMut::from(&b"USBC\x2a\0\0\0"[..]);
            cbw.put_u32_le(length);
            cbw.put_slice(&[if is_in { 0x80 } else { 0 }, 0, 16]);
            cbw.put_slice(&command);
            cbw.to_vec()
        },
    )
}

fn submit() -> impl Strategy<Value = Step> {
    let data = prop_oneof![
        3 => wrapper(),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        2 => prop::sample::select(vec![0, 31, 512, 1024, 5000]).prop_map(|bytes| vec![1; bytes]),
    ];
    let length = prop::sample::select(vec![0, 10, 13, 31, 512, 1000, 4096, u32::MAX]);
    let odd = prop::bool::weighted(0.05);
    (endpoint(), any::<u8>(), length, prop::option::of(setup()), data, odd).prop_map(
        |(endpoint, flags, length, setup, data, is_odd)| {
            let is_control = endpoint & 0x7f == 0;
            let is_in = match setup {
                Some(setup) if is_control => setup[0] & 0x80 != 0,
                _ => endpoint & 0x80 != 0,
            };
            let setup = setup.filter(|_| is_control || is_odd);
            let data = if is_in && !is_odd { vec![] } else { data };
            let length = if is_in || is_odd { length } else { data.len() as u32 };
            let packets = if is_odd { vec![1, 2] } else { vec![] };
            let submit = Submit { id: 0, flags, length, setup, packets };
            Step::Submit { endpoint, submit, data }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Fault::Silent)),
        1 => Just(Some(Fault::Stall)),
        1 => Just(Some(Fault::Slow(Duration::from_millis(1)))),
    ];
    prop_oneof![
        20 => submit(),
        4 => (0u32..6).prop_map(Step::Cancel),
        1 => Just(Step::Reset),
        1 => fault.prop_map(Step::Fault),
    ]
}

/// Runs the steps; returns how often each id completed, and what was asked.
async fn run(simulated: Simulated, steps: Vec<Step>) -> (HashMap<u32, u32>, u32) {
    let mut device = simulated.open();
    let mut asked = 0;
    for step in steps {
        let command = match step {
            Step::Submit { endpoint, submit, data } => {
                asked += 1;
                let submit = Submit { id: asked, ..submit };
                Command::Submit(Urb { endpoint, submit, data: Bytes::from(data) })
            }
            Step::Cancel(before) => Command::Cancel { id: asked.saturating_sub(before) },
            Step::Reset => {
                asked += 1;
                Command::Reset { id: asked }
            }
            Step::Fault(fault) => {
                simulated.fault(fault);
                tokio::task::yield_now().await;
                continue;
            }
        };
        device.commands.send(command).await.expect("it is plugged in");
    }
    simulated.fault(None);
    tokio::task::yield_now().await;
    simulated.unplug();
    let mut completed = HashMap::new();
    while let Some(completion) = device.completions.recv().await {
        let is_in = !completion.data.is_empty();
        assert!(!is_in || completion.data.len() == completion.complete.actual_length as usize);
        *completed.entry(completion.complete.id).or_default() += 1;
    }
    (completed, asked)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn each_transfer_completes_exactly_once(
        steps in prop::collection::vec(step(), 1..120),
        is_disk in any::<bool>(),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let simulated =
            if is_disk { Simulated::disk(1, 8 << 20) } else { Simulated::serial(1) };
        let (completed, asked) = runtime.block_on(run(simulated, steps));
        prop_assert_eq!(completed.len() as u32, asked);
        prop_assert!(completed.values().all(|times| *times == 1));
    }
}
