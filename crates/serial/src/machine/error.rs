//! Why a machine does not do what it was asked for.

use wire::Text;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the machine is not shared any more")]
    Ended,
    #[error("the port is not open: {0}")]
    Closed(Text),
    #[error("somebody else uses the machine")]
    InUse,
    #[error("this machine is shared without arming")]
    NoArming,
    #[error("nobody uses the machine: there is no session to arm for")]
    NoSession,
    #[error("the interlock is open: close it first")]
    InterlockOpen,
    #[error("the stop button {0} is open: close it first")]
    ButtonOpen(Text),
    #[error("the stop button {button} is lost: {why}")]
    ButtonLost { button: Text, why: Text },
    #[error("the machine was stopped: clear the stop first")]
    Stopped,
    #[error("this machine is shared with arming: arm the job first")]
    NotArmed,
    #[error("the machine has just been opened: try again in a moment")]
    Starting,
    #[error("jobs need a machine that answers: set its profile")]
    NoAnswers,
    #[error("no job is running")]
    NoJob,
    #[error("with its beam on this machine cannot be held: stop it")]
    NoHold,
    #[error("no thread can read the program: {0}")]
    NoReader(Text),
    #[error("too many requests to stop are under way: the machine is being stopped")]
    BeingStopped,
}
