//! Both ends of a serial machine: `serve` where it is, `attach` where it is used.

pub mod attach;
