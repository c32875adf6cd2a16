//! G-code as machines understand it, without I/O: no clock, no socket, no thread.
