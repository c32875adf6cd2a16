//! The few G-codes that change what a printer shows. The rest is taken and does nothing.

use super::engine::{Engine, Heater};

pub(super) fn run(engine: &mut Engine, line: &str) {
    let line = line.split(';').next().unwrap_or_default();
    let mut words = line.split_whitespace();
    let Some(code) = words.next().map(str::to_ascii_uppercase) else { return };
    let rest: Vec<String> = words.map(str::to_ascii_uppercase).collect();
    let number = |letter: char| -> Option<f64> {
        let text = rest.iter().find_map(|word| word.strip_prefix(letter))?;
        text.parse().ok().filter(|number: &f64| number.is_finite())
    };
    let percent = |letter| number(letter).map(|number| number.clamp(0.0, 999.0) as u16);
    match code.as_str() {
        "M104" | "M109" => engine.set_target(Heater::Hotend, number('S').unwrap_or(0.0)),
        "M140" | "M190" => engine.set_target(Heater::Bed, number('S').unwrap_or(0.0)),
        "M106" => {
            let speed = number('S').unwrap_or(255.0).clamp(0.0, 255.0);
            engine.set_fan((speed / 2.55).round() as u16);
        }
        "M107" => engine.set_fan(0),
        "M220" => percent('S').into_iter().for_each(|percent| engine.set_speed(percent)),
        "M221" => percent('S').into_iter().for_each(|percent| engine.set_flow(percent)),
        "M355" => engine.set_light(number('S') != Some(0.0)),
        "SET_PIN" => {
            let value = rest.iter().find_map(|word| word.strip_prefix("VALUE="));
            if rest.iter().any(|word| word == "PIN=CASELIGHT") {
                engine.set_light(value.and_then(|value| value.parse().ok()) != Some(0.0));
            }
        }
        "M112" => engine.fail("shutdown", "Shutdown due to M112 command"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn what_shows() {
        let mut engine = Engine::new(1.0, UNIX_EPOCH);
        for line in ["M104 S210 ; hot", "m140 s65", "M220 S150", "M221 S95", "M106 S128", "G28", ""]
        {
            run(&mut engine, line);
        }
        assert_eq!((engine.hotend.target_c, engine.bed.target_c), (210.0, 65.0));
        assert_eq!((engine.speed_percent, engine.flow_percent), (150, 95));
        assert_eq!(engine.fan_percent, 50);
        run(&mut engine, "SET_PIN PIN=caselight VALUE=0");
        run(&mut engine, "M104 Snan");
        assert!(!engine.light_on);
        assert_eq!(engine.hotend.target_c, 0.0);
    }
}
