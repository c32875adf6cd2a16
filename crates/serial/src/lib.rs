//! Both ends of a serial machine: `serve` where it is, `attach` where it is used.

pub mod attach;
#[cfg(target_os = "linux")]
pub mod button;
#[cfg(target_os = "linux")]
pub mod guard;
#[cfg(target_os = "linux")]
pub mod machine;
pub mod program;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod pty;
#[cfg(target_os = "linux")]
pub mod serve;
#[cfg(target_os = "linux")]
pub mod tty;
#[cfg(target_os = "linux")]
mod waker;
