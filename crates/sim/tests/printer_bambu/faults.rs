//! Printers that do not do as they should.

use crate::stand::{PATIENCE, Watcher, connection, start};
use printer::{Command, Phase, Reason, probe};
use sim::printer::Fault;
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn one_that_never_answers_is_given_up() {
    let printer = start("A1").await;
    printer.set_fault(Fault::Silent);
    let to = connection(&printer);
    let (watched, listed) =
        tokio::join!(Watcher::new(to.clone()).end(), timeout(PATIENCE, printer::files::list(&to)),);
    assert_eq!(watched, Reason::NoAnswer);
    assert_eq!(listed.unwrap().unwrap_err().reason, Reason::NoAnswer);
}

#[tokio::test]
async fn a_slow_one_is_waited_for() {
    let printer = start("P1S").await;
    printer.set_fault(Fault::Slow(Duration::from_millis(700)));
    let mut watcher = Watcher::new(connection(&printer));
    watcher.until(|state| state.phase == Phase::Idle).await;
    watcher.order(Command::Light { on: false }).await.unwrap();
    let files = timeout(PATIENCE, printer::files::list(&connection(&printer))).await.unwrap();
    assert_eq!(files.unwrap().len(), 1);
}

#[tokio::test]
async fn one_that_hangs_up_is_lost_and_found_again() {
    let printer = start("A1").await;
    printer.set_fault(Fault::Drops);
    let ended = Watcher::new(connection(&printer)).end().await;
    assert_eq!(ended, Reason::Lost);
    let listed = timeout(PATIENCE, printer::files::list(&connection(&printer))).await.unwrap();
    assert!(matches!(listed.unwrap_err().reason, Reason::Lost | Reason::NoAnswer));
    printer.set_fault(Fault::None);
    Watcher::new(connection(&printer)).until(|state| state.phase == Phase::Idle).await;
}

#[tokio::test]
async fn garbage_is_survived() {
    for model in ["A1", "X1C"] {
        let printer = start(model).await;
        let mut watcher = Watcher::new(connection(&printer));
        watcher.until(|state| state.phase == Phase::Idle).await;
        printer.set_fault(Fault::Garbled);
        // Whether it answers or not, and whatever it says meanwhile: it ends.
        let answer = watcher.order(Command::Light { on: false }).await;
        assert!(answer.is_err() || watcher.last.is_some());
        printer.set_fault(Fault::None);
        if !watcher.task.is_finished() {
            watcher.order(Command::Light { on: true }).await.ok();
        }
        let again = timeout(PATIENCE, probe(&connection(&printer))).await.unwrap();
        assert!(again.is_ok());
        printer.set_fault(Fault::Garbled);
        let listed = timeout(PATIENCE, printer::files::list(&connection(&printer))).await.unwrap();
        assert!(listed.is_err());
    }
}

#[tokio::test]
async fn a_code_that_was_renewed_is_wrong_from_then_on() {
    let printer = start("A1").await;
    printer.set_fault(Fault::WrongSecret);
    let refused = timeout(PATIENCE, probe(&connection(&printer))).await.unwrap().unwrap_err();
    assert_eq!(refused.reason, Reason::WrongSecret);
    assert!(refused.hint.unwrap().contains("LAN Only"));
}
