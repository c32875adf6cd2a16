//! G-code as machines understand it, without I/O: no clock, no socket, no thread.
//!
//! Whoever owns a port feeds what passes into small machines of this crate and does what they
//! say. [`realtime`] and [`lines`] take a byte stream apart; [`status`] and [`detect`] read what a
//! machine says; [`beam`] knows whether its beam or spindle may be on; [`gate`] holds back what
//! would switch it on; [`stop`] stops it. What one firmware does differently from another is data
//! in [`profile`].
//!
//! Everything that comes from a program, a peer, a file or a machine can be any bytes: it is
//! bounded, and it cannot panic.

pub mod beam;
pub mod check;
pub mod detect;
pub mod estimate;
pub mod gate;
pub mod lines;
pub mod modal;
pub mod panel;
pub mod preview;
pub mod profile;
pub mod realtime;
pub mod resume;
pub mod sender;
pub mod settings;
pub mod status;
pub mod stop;
pub mod words;
