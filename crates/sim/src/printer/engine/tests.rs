//! The engine in virtual time.

use super::*;
use crate::printer::file::Plan;
use std::time::UNIX_EPOCH;

const HOUR: &str = "cube.gcode";

fn at(seconds: f64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_secs_f64(seconds)
}

fn engine(speed: f64) -> Engine {
    let mut engine = Engine::new(speed, at(0.0));
    let content = ";TIME:3600\n;LAYER_COUNT:60\n;Filament used: 6m\nM140 S70\nM104 S230\n";
    engine.put_file(HOUR, Bytes::from_static(content.as_bytes())).unwrap();
    engine
}

fn near(a: SystemTime, seconds: f64) -> bool {
    let b = at(seconds);
    a.duration_since(b).or_else(|_| b.duration_since(a)).unwrap() < Duration::from_millis(2)
}

#[test]
fn a_print_takes_what_its_file_says_divided_by_the_speed() {
    let mut engine = engine(60.0);
    engine.start(HOUR).unwrap();
    let job = engine.job.as_ref().unwrap();
    assert_eq!((job.remaining().as_secs(), job.layer()), (60, 0));
    engine.advance(at(2.0));
    assert_eq!(engine.phase, Phase::Preparing);
    engine.advance(at(4.0));
    assert_eq!(engine.phase, Phase::Printing);
    assert!((engine.hotend.now_c - 230.0).abs() < 1.0 && (engine.bed.now_c - 70.0).abs() < 1.0);
    engine.advance(at(31.5));
    let job = engine.job.as_ref().unwrap();
    assert!((job.progress() - 0.5).abs() < 1e-6, "{}", job.progress());
    assert_eq!((job.layer(), job.elapsed().as_millis()), (31, 31_500));
    assert_eq!(job.remaining().as_millis(), 28_500);
    assert!((job.filament_mm() - 3000.0).abs() < 1.0);
}

#[test]
fn it_ends_at_its_own_moment_however_late_one_looks() {
    let mut engine = engine(60.0);
    engine.start(HOUR).unwrap();
    engine.advance(at(1000.0));
    assert_eq!(engine.phase, Phase::Finished);
    let print = &engine.records[0].print;
    let (ended, end) = print.ended.unwrap();
    assert!(near(print.started, 0.0) && near(ended, 60.0), "{ended:?}");
    assert_eq!(end, End::Finished);
    assert_eq!(engine.job.as_ref().unwrap().layer(), 60);
    assert!((engine.records[0].filament_mm - 6000.0).abs() < 1.0);
    assert!(!engine.is_moving(), "it is cold again");
    let revision = engine.revision;
    engine.advance(at(2000.0));
    assert_eq!(engine.revision, revision, "nothing changes while it idles");
}

#[test]
fn a_pause_is_not_printing_time() {
    let mut engine = engine(60.0);
    engine.start(HOUR).unwrap();
    engine.advance(at(1.0));
    engine.pause().unwrap();
    assert_eq!(engine.pause(), Err(Refused::WrongState));
    engine.advance(at(11.0));
    engine.resume().unwrap();
    assert_eq!(engine.phase, Phase::Preparing, "it had not been hot yet");
    assert_eq!(engine.resume(), Err(Refused::WrongState));
    engine.advance(at(30.0));
    engine.pause().unwrap();
    engine.advance(at(40.0));
    assert_eq!(engine.job.as_ref().unwrap().elapsed().as_secs(), 20);
    engine.cancel().unwrap();
    assert_eq!(engine.cancel(), Err(Refused::NoPrint));
    let print = &engine.records[0].print;
    assert!(near(print.pauses[0].0, 1.0) && near(print.pauses[0].1.unwrap(), 11.0));
    assert!(near(print.pauses[1].1.unwrap(), 40.0), "the end ends the pause");
    assert_eq!(print.ended.unwrap().1, End::Cancelled);
}

#[test]
fn speed_changes_the_rate_and_what_remains() {
    let mut engine = engine(60.0);
    engine.start(HOUR).unwrap();
    engine.advance(at(30.0));
    engine.set_speed(200);
    assert_eq!(engine.job.as_ref().unwrap().remaining().as_secs(), 15);
    engine.advance(at(100.0));
    assert!(near(engine.records[0].print.ended.unwrap().0, 45.0));
}

#[test]
fn two_prints_of_one_file_are_two() {
    let mut engine = engine(3600.0);
    assert_eq!(engine.start("nothing"), Err(Refused::NoSuchFile));
    assert_eq!(engine.start(HOUR), Ok(1));
    assert_eq!(engine.start(HOUR), Err(Refused::Busy));
    assert_eq!(engine.remove_file(HOUR).map(drop), Err(Refused::Busy));
    engine.advance(at(2.0));
    assert_eq!(engine.start(HOUR), Ok(2));
    engine.fail("E1", "thermal runaway");
    assert_eq!(engine.records[1].print.ended.unwrap().1, End::Failed);
    assert_eq!(engine.start(HOUR), Err(Refused::WrongState), "the error comes first");
    engine.clear();
    assert_eq!((engine.phase, engine.job.is_none()), (Phase::Idle, true));
    engine.start(HOUR).unwrap();
    engine.power_off();
    assert_eq!(engine.records[2].print.ended.unwrap().1, End::Failed);
    assert_eq!(engine.phase, Phase::Idle);
    engine.remove_file(HOUR).unwrap();
}

#[test]
fn a_drive_has_an_end() {
    let mut engine = engine(1.0);
    let big = Bytes::from(vec![b'\n'; FILES_BYTES_MAX - 1000]);
    engine.put_file("big.gcode", big.clone()).unwrap();
    engine.put_file("big.gcode", big.clone()).unwrap();
    assert_eq!(engine.put_file("other.gcode", big), Err(Refused::Full));
}

#[test]
fn what_slicers_write() {
    let plan = |text: &str| Plan::read(text.as_bytes());
    let prusa = "; estimated printing time (normal mode) = 1d 2h 3m 4s\n\
                 ; filament used [mm] = 10.5, 20.5\n; total layer number: 7\n";
    let prusa = plan(prusa);
    assert_eq!(prusa.estimate.as_secs(), 86_400 + 7_200 + 180 + 4);
    assert_eq!((prusa.layers, prusa.filament_mm), (7, 31.0));
    let bambu = plan("; model printing time: 5m 1s; total estimated time: 9m 2s\n");
    assert_eq!(bambu.estimate.as_secs(), 542);
    let other = plan("G28\n");
    assert_eq!((other.estimate.as_secs(), other.layers), (1800, 100));
    let mut long = vec![b'\n'; 1 << 20];
    long.extend_from_slice(b";TIME:60\n");
    assert_eq!(Plan::read(&long).estimate.as_secs(), 60);
    assert_eq!(plan("; estimated printing time (normal mode) = ä\n").estimate.as_secs(), 1800);
}

#[derive(Clone, Debug)]
enum Step {
    Wait(f64),
    Start,
    Pause,
    Resume,
    Cancel,
    Fail,
    Clear,
    Off,
    Speed(u16),
    Gcode(String),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    use proptest::prelude::*;
    prop_oneof![
        (0.0..40.0).prop_map(Step::Wait),
        Just(Step::Start),
        Just(Step::Pause),
        Just(Step::Resume),
        Just(Step::Cancel),
        Just(Step::Fail),
        Just(Step::Clear),
        Just(Step::Off),
        any::<u16>().prop_map(Step::Speed),
        "[MGTmgt]?[0-9]{0,4} ?[A-Z]?[-0-9.naif]{0,8}.{0,8}".prop_map(Step::Gcode),
    ]
}

proptest::proptest! {
    #[test]
    fn whatever_happens_the_records_are_sound(steps in proptest::collection::vec(step(), 0..60)) {
        let mut engine = engine(60.0);
        let mut seconds = 0.0;
        for step in steps {
            match step {
                Step::Wait(more) => seconds += more,
                Step::Start => drop(engine.start(HOUR)),
                Step::Pause => drop(engine.pause()),
                Step::Resume => drop(engine.resume()),
                Step::Cancel => drop(engine.cancel()),
                Step::Fail => engine.fail("1", "wrong"),
                Step::Clear => engine.clear(),
                Step::Off => engine.power_off(),
                Step::Speed(percent) => engine.set_speed(percent),
                Step::Gcode(line) => crate::printer::gcode::run(&mut engine, &line),
            }
            engine.advance(at(seconds));
            if let Some(job) = &engine.job {
                assert!((0.0..=1.0).contains(&job.progress()) && job.layer() <= 60);
                job.remaining();
            }
            assert!(engine.hotend.now_c.is_finite() && engine.hotend.now_c <= 300.0);
            sound(&engine);
        }
    }

    #[test]
    fn any_bytes_are_some_file(
        content: Vec<u8>,
        text in "(; ?[a-z ]{0,12}[=:x]? ?[0-9dhms.]{0,9}\n){0,9}",
    ) {
        Plan::read(&content);
        Plan::read(text.as_bytes());
        crate::printer::file::thumbnails(&content);
    }
}

/// Each print has ended before the next began, in the order of time.
fn sound(engine: &Engine) {
    let mut last = at(0.0);
    for (number, record) in engine.records.iter().enumerate() {
        assert_eq!(record.id as usize, number + 1);
        assert!(record.print.started >= last);
        last = record.print.started;
        for (from, until) in &record.print.pauses {
            assert!(*from >= last);
            last = until.unwrap_or(*from);
            assert!(last >= *from);
        }
        match record.print.ended {
            Some((ended, _)) => {
                assert!(ended >= last);
                assert!(record.print.pauses.iter().all(|(_, until)| until.is_some()));
                last = ended;
            }
            None => assert!(engine.is_active() && number + 1 == engine.records.len()),
        }
    }
}
