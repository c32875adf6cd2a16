//! The task behind an open door: commands to the engine, completions back, and faults between.

use crate::function::Function;
use crate::{Condition, Fault};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Instant, sleep_until};
use usb::emulate::{self, Engine};
use usb::{Command, Completion, Urb};

/// A transfer that a fault keeps from the engine; without a time, until the fault is over.
struct Held {
    urb: Urb,
    due: Option<Instant>,
}

/// Runs one session until its door is dropped or the device is unplugged.
pub(crate) async fn run(
    engine: Arc<Mutex<Engine<Function>>>,
    mut condition: watch::Receiver<Condition>,
    mut commands: mpsc::Receiver<Command>,
    completions: mpsc::Sender<Completion>,
) {
    let mut engine = engine.lock().await;
    engine.restart();
    let mut held = VecDeque::new();
    let mut command = None;
    loop {
        // A fault set before a command was sent applies to it.
        let now = *condition.borrow_and_update();
        if now.unplugged {
            break;
        }
        release(&mut engine, &mut held, now.fault);
        if let Some(command) = command.take() {
            obey(&mut engine, &mut held, now.fault, command);
        }
        for completion in engine.completed() {
            if completions.send(completion).await.is_err() {
                // Nobody is there any more: what is under way is of no interest.
                engine.end_all(emulate::ENODEV);
                engine.completed();
                return;
            }
        }
        let is_slow = matches!(now.fault, Some(Fault::Slow(_)));
        let due = held.front().filter(|_| is_slow).and_then(|held| held.due);
        tokio::select! {
            received = commands.recv() => match received {
                Some(received) => command = Some(received),
                None => break,
            },
            changed = condition.changed() => {
                // The device itself was dropped: it is gone like one that is unplugged.
                if changed.is_err() {
                    break;
                }
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
    }
    end(&mut engine, held, command, commands, completions).await;
}

/// Gives the engine what no fault holds any more, in order.
fn release(engine: &mut Engine<Function>, held: &mut VecDeque<Held>, fault: Option<Fault>) {
    let now = Instant::now();
    while let Some(front) = held.front() {
        let is_due = match (fault, front.due) {
            (Some(Fault::Silent), _) => false,
            (Some(Fault::Slow(_)), Some(due)) => due <= now,
            (Some(Fault::Slow(_) | Fault::Stall) | None, _) => true,
        };
        if !is_due {
            return;
        }
        engine.submit(held.pop_front().expect("it is at the front").urb);
    }
}

fn obey(
    engine: &mut Engine<Function>,
    held: &mut VecDeque<Held>,
    fault: Option<Fault>,
    command: Command,
) {
    match (command, fault) {
        (Command::Submit(urb), Some(Fault::Slow(delay))) => {
            held.push_back(Held { urb, due: Some(Instant::now() + delay) });
        }
        (Command::Submit(urb), Some(Fault::Silent)) => held.push_back(Held { urb, due: None }),
        (Command::Submit(urb), Some(Fault::Stall)) => engine.end(&urb, emulate::EPIPE),
        (Command::Submit(urb), None) => engine.submit(urb),
        (Command::Cancel { id }, _) => {
            match held.iter().position(|held| held.urb.submit.id == id) {
                Some(at) => {
                    let held = held.remove(at).expect("its position was just found");
                    engine.end(&held.urb, emulate::ECONNRESET);
                }
                None => engine.cancel(id),
            }
        }
        (Command::Reset { id }, _) => {
            for held in held.drain(..) {
                engine.end(&held.urb, emulate::ESHUTDOWN);
            }
            engine.reset(id);
        }
    }
}

/// Ends everything that is under way or on its way with `-ENODEV`.
async fn end(
    engine: &mut Engine<Function>,
    held: VecDeque<Held>,
    mut command: Option<Command>,
    mut commands: mpsc::Receiver<Command>,
    completions: mpsc::Sender<Completion>,
) {
    commands.close();
    engine.end_all(emulate::ENODEV);
    for held in held {
        engine.end(&held.urb, emulate::ENODEV);
    }
    loop {
        match command.take() {
            Some(Command::Submit(urb)) => engine.end(&urb, emulate::ENODEV),
            Some(Command::Reset { id }) => engine.fail_reset(id),
            Some(Command::Cancel { .. }) | None => {}
        }
        command = commands.recv().await;
        if command.is_none() {
            break;
        }
    }
    for completion in engine.completed() {
        if completions.send(completion).await.is_err() {
            return;
        }
    }
}
