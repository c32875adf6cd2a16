//! The node: identity, pairing, paths, grants, leases, the shelf. The one place where the kinds
//! of devices meet.

pub mod view;
