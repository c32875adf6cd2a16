//! Why a stop button cannot be used.

use super::Key;
use rustix::io::Errno;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("it is not there: plug it in")]
    Absent,
    #[error("no permission to use it: farhub doctor says what to do")]
    Permission,
    #[error("another program has it for itself: close that")]
    InUse,
    #[error("that is no input device")]
    NoInput,
    #[error("it has no keys: name another one of its input devices")]
    NoKeys,
    #[error("it has no {0}")]
    NoSuchKey(Key),
    #[error("that is no GPIO chip")]
    NoChip,
    #[error("the chip has no line {0}")]
    NoLine(u32),
    #[error("the chip does not tell when line {0} changes: take another line")]
    NoEdges(u32),
    #[error("{errno} while {doing}")]
    Failed { doing: &'static str, errno: Errno },
}
