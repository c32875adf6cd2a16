//! A line coding as the kernel takes it, and as it gave it back.

use rustix::termios::{ControlModes, InputModes, Termios};
use wire::serial::{Flow, LineCoding, Parity, StopBits};

/// Asks for `coding` in otherwise raw settings: no byte is changed, added or swallowed.
///
/// # Errors
/// When the kernel has no way to say that rate.
pub(super) fn apply(coding: &LineCoding, termios: &mut Termios) -> rustix::io::Result<()> {
    use ControlModes as C;
    termios.make_raw();
    termios.set_speed(coding.baud_rate)?;
    let mut control = termios.control_modes;
    control.remove(C::CSIZE | C::CSTOPB | C::PARENB | C::PARODD | C::CMSPAR | C::CRTSCTS);
    // a close is no reason for the lines to fall, and a low carrier none to wait
    control.remove(C::HUPCL);
    control.insert(C::CREAD | C::CLOCAL);
    control.insert(match coding.data_bits {
        5 => C::CS5,
        6 => C::CS6,
        7 => C::CS7,
        _ => C::CS8,
    });
    control.insert(match coding.parity {
        Parity::None => C::empty(),
        Parity::Odd => C::PARENB | C::PARODD,
        Parity::Even => C::PARENB,
        Parity::Mark => C::PARENB | C::PARODD | C::CMSPAR,
        Parity::Space => C::PARENB | C::CMSPAR,
    });
    // with 5 data bits, hardware makes one and a half of two
    if coding.stop_bits != StopBits::One {
        control.insert(C::CSTOPB);
    }
    control.set(C::CRTSCTS, coding.flow == Flow::Hardware);
    termios.control_modes = control;
    let software = InputModes::IXON | InputModes::IXOFF;
    termios.input_modes.remove(software | InputModes::IXANY);
    // a break is a zero byte that is counted, a byte with wrong parity is a byte
    termios.input_modes.remove(InputModes::IGNBRK | InputModes::BRKINT | InputModes::INPCK);
    termios.input_modes.set(software, coding.flow == Flow::Software);
    Ok(())
}

/// What the port is set to.
pub(super) fn read(termios: &Termios) -> LineCoding {
    use ControlModes as C;
    let control = termios.control_modes;
    let data_bits = match control & C::CSIZE {
        size if size == C::CS5 => 5,
        size if size == C::CS6 => 6,
        size if size == C::CS7 => 7,
        _ => 8,
    };
    let has = |mode| control.contains(mode);
    let parity = match (has(C::PARENB), has(C::PARODD), has(C::CMSPAR)) {
        (false, _, _) => Parity::None,
        (true, true, false) => Parity::Odd,
        (true, false, false) => Parity::Even,
        (true, true, true) => Parity::Mark,
        (true, false, true) => Parity::Space,
    };
    let stop_bits = match (has(C::CSTOPB), data_bits) {
        (false, _) => StopBits::One,
        (true, 5) => StopBits::OneAndHalf,
        (true, _) => StopBits::Two,
    };
    let flow = if has(C::CRTSCTS) {
        Flow::Hardware
    } else if termios.input_modes.contains(InputModes::IXON) {
        Flow::Software
    } else {
        Flow::None
    };
    LineCoding { baud_rate: termios.output_speed(), data_bits, parity, stop_bits, flow }
}
