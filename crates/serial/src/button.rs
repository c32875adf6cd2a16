//! A stop button at the hub: a key of an input device (a USB button, a foot switch, a key pad), or
//! a switch at a GPIO line. It needs no network, and no task of the hub: a thread of its own sleeps
//! in `poll(2)` for the device, and wakes the threads of the machines' ports, each of which looks
//! at the button before all else ([`crate::machine`]).
//!
//! A **key** stops when it is pressed. It belongs to this program alone, so that it types nothing
//! elsewhere. A **line** is an interlock: open means stop, and while it is open nothing is armed
//! and no stop is taken back.
//!
//! A button that is lost fails closed: a line counts as open, a key stops whatever may be burning,
//! and nothing is armed until it is back. It is opened again by itself. Nobody but a person takes a
//! stop back, whatever the button does.

mod error;
mod key;
mod source;
mod sys;
mod thread;

use crate::waker::Waker;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use thread::Thread;
use tokio::sync::watch;
use wire::Text;

pub use error::Error;
pub use key::{Key, NoKey};
pub use source::{Bias, Level, Source};
pub(crate) use source::{Device, Seen};

/// A stop button, as its owner describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What people call it.
    pub name: Text,
    pub source: Source,
}

/// A running stop button. Its thread ends when nobody holds it any more.
#[derive(Clone, Debug)]
pub struct Button(Arc<Held>);

#[derive(Debug)]
struct Held {
    news: watch::Receiver<Look>,
    sleepers: Arc<Sleepers>,
    /// Dropped last, which wakes the thread to see that nobody is left.
    _waker: Waker,
}

/// A button now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub name: Text,
    pub kind: Kind,
    pub contact: Contact,
    /// How often it was pressed, or has opened.
    pub presses: u32,
    /// When that was last.
    pub pressed: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Key,
    /// What is open stays stopped.
    Line,
}

/// Whether a stop button would be noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StopButtonContact)]
pub enum Contact {
    /// It is there, and would stop.
    Ready,
    /// The interlock is open.
    Open,
    /// It cannot be read; it is tried again and again.
    Lost { why: Text },
}

/// The threads that a button wakes.
#[derive(Debug, Default)]
struct Sleepers(Mutex<Vec<Waker>>);

/// A button in the hands of a machine's thread.
#[derive(Debug)]
pub(crate) struct Watched {
    news: watch::Receiver<Look>,
    /// Its thread is gone, and what it said last was seen.
    is_over: bool,
    waker: Waker,
    button: Button,
}

impl Button {
    /// Starts the thread that waits for it. A device that is not there is no error: it is
    /// [`Contact::Lost`].
    ///
    /// # Errors
    /// When the system has no thread or no file left.
    pub fn start(config: Config) -> std::io::Result<Self> {
        let Config { name, source } = config;
        let kind = source.kind();
        Self::with(name, kind, move || source.open())
    }

    /// The same with anything that opens the device, each time that it is (or may be) there.
    pub(crate) fn with<O>(name: Text, kind: Kind, opener: O) -> std::io::Result<Self>
    where
        O: FnMut() -> Result<(Device, Seen), Error> + Send + 'static,
    {
        let waker = Waker::new()?;
        let contact = Contact::Lost { why: Text::from("not opened yet") };
        let (presses, pressed) = (0, Instant::now());
        let (told, news) = watch::channel(Look { name, kind, contact, presses, pressed });
        let sleepers = Arc::<Sleepers>::default();
        let held = Arc::new(Held { news, sleepers: sleepers.clone(), _waker: waker.clone() });
        let mut thread = Thread::new(opener, told, sleepers, Arc::downgrade(&held), waker);
        // a machine that starts next is not to find it lost
        thread.round();
        std::thread::Builder::new().name("stop-button".into()).spawn(move || thread.run())?;
        Ok(Self(held))
    }

    #[must_use]
    pub fn look(&self) -> Look {
        self.0.news.borrow().clone()
    }

    /// Tells what becomes of it.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<Look> {
        self.0.news.clone()
    }

    /// Has that thread woken whenever something becomes of it.
    pub(crate) fn watch(&self, waker: &Waker) -> Watched {
        self.0.sleepers.lock().push(waker.clone());
        let mut news = self.news();
        news.mark_changed();
        let (is_over, waker) = (false, waker.clone());
        Watched { news, is_over, waker, button: self.clone() }
    }
}

impl Watched {
    /// What has become of it since the last time, if anything.
    pub(crate) fn news(&mut self) -> Option<Look> {
        let is_news = match self.news.has_changed() {
            Ok(is_news) => is_news,
            Err(_) => !std::mem::replace(&mut self.is_over, true),
        };
        is_news.then(|| self.news.borrow_and_update().clone())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.button.0.sleepers.lock().retain(|waker| !waker.is(&self.waker));
    }
}

impl Sleepers {
    fn wake(&self) {
        self.lock().iter().for_each(Waker::wake);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        // a list of descriptors is whole after any panic
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
