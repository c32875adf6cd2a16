//! The print shop: printers that are watched, their jobs, files and queue.
