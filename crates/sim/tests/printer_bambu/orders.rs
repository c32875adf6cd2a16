//! What it is told, and whether that happens.

use crate::stand::{Watcher, connection, print_it, start, start_at};
use printer::{Ability, Command, Heater, Phase, Reason};
use sim::printer::{End, Fault};

#[tokio::test]
async fn a_whole_print() {
    for model in ["A1", "P1S", "X1C"] {
        let printer = start_at(model, 600.0).await;
        let mut watcher = Watcher::new(connection(&printer));
        watcher.until(|state| state.phase == Phase::Idle).await;
        watcher.order(print_it()).await.unwrap();
        let preparing = watcher.until(|state| state.phase.is_active()).await;
        let id = preparing.job.unwrap().id.unwrap();
        watcher.until(|state| state.phase == Phase::Printing).await;
        let finished = watcher.until(|state| state.phase == Phase::Finished).await;
        let job = finished.job.unwrap();
        assert_eq!((job.id, job.progress_percent), (Some(id.clone()), Some(100.0)), "{model}");
        assert_eq!(job.name, "box".into());
        assert_eq!(printer.truth()[0].ended.unwrap().1, End::Finished);
        watcher.order(print_it()).await.unwrap();
        let again = watcher.until(|state| state.phase.is_active()).await;
        assert_ne!(again.job.unwrap().id, Some(id), "it is another print");
        assert_eq!(printer.truth().len(), 2);
    }
}

#[tokio::test]
async fn pause_resume_and_stop() {
    let printer = start("P1S").await;
    let mut watcher = Watcher::new(connection(&printer));
    watcher.until(|state| state.phase == Phase::Idle).await;
    watcher.order(print_it()).await.unwrap();
    watcher.until(|state| state.phase == Phase::Printing).await;
    watcher.order(Command::Pause).await.unwrap();
    watcher.until(|state| state.phase == Phase::Paused).await;
    let busy = watcher.order(print_it()).await.unwrap_err();
    assert_eq!(busy.reason, Reason::Busy, "a start would cost the print");
    watcher.order(Command::Resume).await.unwrap();
    watcher.until(|state| state.phase == Phase::Printing).await;
    watcher.order(Command::Stop).await.unwrap();
    let stopped = watcher.until(|state| !state.phase.is_active()).await;
    assert_eq!(stopped.phase, Phase::Stopped);
    let truth = printer.truth();
    assert_eq!((truth.len(), truth[0].pauses.len()), (1, 1));
    assert_eq!(truth[0].ended.unwrap().1, End::Cancelled);
    let nothing = watcher.order(Command::Pause).await.unwrap_err();
    assert_eq!(nothing.reason, Reason::Unacceptable);
}

#[tokio::test]
async fn light_speed_and_temperatures() {
    let printer = start("A1").await;
    let mut watcher = Watcher::new(connection(&printer));
    let idle = watcher.until(|state| state.phase == Phase::Idle).await;
    let on = !idle.light_on.unwrap();
    watcher.order(Command::Light { on }).await.unwrap();
    watcher.until(|state| state.light_on == Some(on)).await;
    watcher.order(Command::Speed { percent: 160 }).await.unwrap();
    watcher.until(|state| state.speed_percent == Some(166)).await;
    let bed = Command::Temperature { heater: Heater::Bed, target_c: 55 };
    watcher.order(bed).await.unwrap();
    let target = |state: &printer::PrinterState| state.temperatures.bed.unwrap().target_c;
    watcher.until(|state| target(state) == Some(55.0)).await;
    watcher.order(Command::Gcode { lines: "M140 S0\nM104 S200".into() }).await.unwrap();
    let warm = watcher.until(|state| target(state) == Some(0.0)).await;
    assert_eq!(warm.temperatures.hotends[0].target_c, Some(200.0));
    let chamber = Command::Temperature { heater: Heater::Chamber, target_c: 40 };
    assert_eq!(watcher.order(chamber).await.unwrap_err().reason, Reason::Unable);
}

#[tokio::test]
async fn parts_can_be_left_out() {
    let printer = start("A1").await;
    let mut watcher = Watcher::new(connection(&printer));
    watcher.until(|state| state.phase == Phase::Idle).await;
    watcher.order(print_it()).await.unwrap();
    watcher.until(|state| state.phase == Phase::Printing).await;
    watcher.order(Command::SkipObjects { ids: vec!["92".into()] }).await.unwrap();
    assert_eq!(printer.skipped(), [92]);
    watcher.until(|state| state.job.as_ref().is_some_and(|job| job.objects.len() == 1)).await;
}

#[tokio::test]
async fn a_file_that_is_not_there_cannot_be_printed() {
    let printer = start("A1").await;
    let mut watcher = Watcher::new(connection(&printer));
    watcher.until(|state| state.phase == Phase::Idle).await;
    let path = "/nothing.3mf".to_owned();
    let start = Command::Start(Box::new(printer::Start { path, ..printer::Start::default() }));
    let refused = watcher.order(start).await.unwrap_err();
    assert_eq!(refused.reason, Reason::Unacceptable);
    assert!(printer.truth().is_empty());
    let faulty = watcher.until(|state| !state.faults.is_empty()).await;
    assert!(faulty.abilities.contains(&Ability::Clear));
    watcher.order(Command::Clear).await.unwrap();
    watcher.until(|state| state.faults.is_empty()).await;
}

#[tokio::test]
async fn slots_feed_what_they_are_chosen_for() {
    let printer = start("P1S").await;
    let mut watcher = Watcher::new(connection(&printer));
    let idle = watcher.until(|state| state.phase == Phase::Idle).await;
    let slot = idle.slots.iter().find(|slot| slot.name == "A2".into()).unwrap();
    let path = "/box.gcode.3mf".to_owned();
    let start = printer::Start { path, slots: vec![slot.id], ..printer::Start::default() };
    watcher.order(Command::Start(Box::new(start))).await.unwrap();
    let active = |state: &printer::PrinterState| {
        state.slots.iter().any(|known| known.id == slot.id && known.active)
    };
    watcher.until(active).await;
}

#[tokio::test]
async fn without_developer_mode_it_says_so() {
    for model in ["A1", "P1S"] {
        let printer = start(model).await;
        printer.set_fault(Fault::DeveloperModeOff);
        let mut watcher = Watcher::new(connection(&printer));
        let idle = watcher.until(|state| state.phase == Phase::Idle).await;
        let refused = watcher.order(Command::Light { on: true }).await.unwrap_err();
        assert_eq!(refused.reason, Reason::ReadOnly, "{model}");
        // One that tells nothing before it is asked has learned it by now.
        let known = if idle.read_only.is_some() {
            idle
        } else {
            watcher.until(|state| state.read_only.is_some()).await
        };
        assert!(!known.abilities.contains(&Ability::Start));
        assert!(known.abilities.contains(&Ability::Upload));
        let files = printer::files::list(&connection(&printer)).await.unwrap();
        assert_eq!(files.len(), 1, "its files are still there");
    }
}
