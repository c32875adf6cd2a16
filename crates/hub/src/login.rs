//! The login of the web UI, for when it is opened to the network.
//!
//! There is one account, the owner's: who gets in may do what somebody at this computer may. The
//! password is kept as argon2id (RFC 9106) with the parameters that OWASP recommends, which are
//! the crate's own; sessions are in [`sessions`], and how often somebody may try in [`tries`].

mod sessions;
mod tries;

pub use sessions::Use;

use crate::core::Caller;
use crate::failure::Failure;
use crate::pairing::internal;
use crate::view::{self, FailureCode};
use crate::{Hub, hub};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use sessions::{Session, Sessions};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::{Store, WebPassword};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tries::Tries;

/// The one account that there is.
pub const ACCOUNT: &str = "admin";
/// Guessed over the network, at [`tries`]' pace, ten characters are enough.
const PASSWORD_CHARS_MIN: usize = 10;
/// No person types more; argon2 reads all of it.
const PASSWORD_BYTES_MAX: usize = 1024;
/// Failures that are noted in the audit log, so that nobody can fill the disk with it.
const NOTED: (u32, Duration) = (10, Duration::from_secs(60));
/// A computer that slept does not notice when a time is over: it looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What the hub knows of the web UI's login.
#[derive(Debug)]
pub(crate) struct Login {
    state: Mutex<State>,
    /// One at a time: each check takes argon2's memory, and none overlaps with a new password.
    turn: Semaphore,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    password: Option<WebPassword>,
    sessions: Sessions,
    tries: Tries,
    noted: (u32, Instant),
}

/// Why somebody was not let in.
#[derive(Debug)]
pub enum Denied {
    Wrong,
    /// Not even looked at: too many tries, for this long.
    TooMany(Duration),
    Failed(Failure),
}

impl From<Failure> for Denied {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Somebody was let in.
#[derive(Debug)]
pub struct LoggedIn {
    /// For the cookie, and nowhere else.
    pub token: String,
    pub session: view::WebSession,
}

impl Login {
    pub(crate) async fn load(store: &Store) -> Result<Self, store::Error> {
        let now = Instant::now();
        let state = State {
            password: store.web_password(ACCOUNT).await?,
            sessions: Sessions::remembered(store.web_sessions().await?),
            tries: Tries::new(now),
            noted: (0, now),
        };
        Ok(Self { state: Mutex::new(state), turn: Semaphore::new(1), clock: Clock::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // a panic elsewhere leaves it as it was between two of its small steps
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether there is room for one more failure in the audit log.
    fn notes(&mut self, now: Instant) -> bool {
        if now - self.noted.1 >= NOTED.1 {
            self.noted = (0, now);
        }
        self.noted.0 = self.noted.0.saturating_add(1);
        self.noted.0 <= NOTED.0
    }
}

impl Hub {
    /// When the password was set, RFC 3339; `None` if there is none.
    #[must_use]
    pub fn web_password_set(&self) -> Option<String> {
        let state = self.0.login.state();
        state.password.as_ref().map(|password| sessions::time(password.changed_us))
    }

    /// Sets the password. All sessions end.
    ///
    /// # Errors
    /// When the password is too short or too long, or the database fails.
    pub async fn set_web_password(&self, password: String) -> Result<(), Failure> {
        let hash = hashed(password).await?;
        let inner = self.0.clone();
        // done to the end, also when whoever asked goes away
        let done = self.0.tasks.spawn(async move {
            let login = &inner.login;
            let _turn = login.turn.acquire().await.expect("nobody closes it");
            let new = WebPassword { password: hash, changed_us: login.clock.now_us() };
            inner.audit("local", "web.password", ACCOUNT, "").await.map_err(internal)?;
            inner.store.set_web_password(ACCOUNT, &new).await?;
            let mut state = login.state();
            state.password = Some(new);
            state.sessions.end_where(|_| true);
            // whoever is at this computer can always get in again
            state.tries = Tries::new(Instant::now());
            Ok(())
        });
        done.await.map_err(internal)?
    }

    /// Lets somebody in who knows the password, with a new session whatever they had before.
    ///
    /// # Errors
    /// [`Denied`]
    pub async fn web_login(
        &self,
        password: String,
        from: IpAddr,
        agent: &str,
    ) -> Result<LoggedIn, Denied> {
        let login = &self.0.login;
        let from = from.to_canonical();
        let (begun, noted) = {
            let (mut state, now) = (login.state(), Instant::now());
            let begun = state.tries.begin(from, now);
            (begun, begun.is_err() && state.notes(now))
        };
        if let Err(wait) = begun {
            if noted {
                self.0.audit("web", "web.login_refused", from, "").await.map_err(internal)?;
            }
            return Err(Denied::TooMany(wait));
        }
        let _turn = login.turn.acquire().await.expect("nobody closes it");
        let known = login.state().password.clone();
        if !is_right(password, known).await? {
            if login.state().notes(Instant::now()) {
                self.0.audit("web", "web.login_failed", from, "").await.map_err(internal)?;
            }
            return Err(Denied::Wrong);
        }
        let now_us = login.clock.now_us();
        let (session, token) = Session::new(from.to_string(), agent, now_us);
        self.0.audit("web", "web.login", &session.id, from).await.map_err(internal)?;
        let over = login.state().sessions.make_room(now_us);
        for id in over {
            self.0.store.remove_web_session(&id).await.map_err(Failure::from)?;
        }
        let put = self.0.store.put_web_session(ACCOUNT, &session.row()).await;
        put.map_err(Failure::from)?;
        let view = session.view();
        let mut state = login.state();
        state.tries.succeeded(from);
        state.sessions.add(session);
        Ok(LoggedIn { token, session: view })
    }

    /// The session of a cookie, if there is one, which is used now.
    pub async fn web_session(&self, token: &str, by: Use) -> Option<view::WebSession> {
        let login = &self.0.login;
        let found = login.state().sessions.find(token, by, login.clock.now_us())?;
        if let Some(seen_us) = found.note_us
            && let Err(error) = self.0.store.web_session_seen(&found.view.id, seen_us).await
        {
            tracing::warn!("{error}");
        }
        Some(found.view)
    }

    /// Resolves when a session is over, by itself or because somebody ended it. Cancel safe.
    pub async fn web_session_over(&self, id: &str) {
        let login = &self.0.login;
        loop {
            let left = login.state().sessions.left(id, login.clock.now_us());
            let Some((left, ended)) = left else { return };
            tokio::select! {
                () = ended.cancelled() => return,
                () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
            }
        }
    }

    /// Who is logged in.
    ///
    /// # Errors
    /// When the caller may not know.
    pub fn web_sessions(&self, caller: Caller) -> Result<Vec<view::WebSession>, Failure> {
        here(caller)?;
        let login = &self.0.login;
        Ok(login.state().sessions.views(login.clock.now_us()))
    }

    /// A browser logs itself out.
    ///
    /// # Errors
    /// When the database fails: the session has ended until the next start.
    pub async fn web_logout(&self, id: &str) -> Result<(), Failure> {
        let ended = self.end_sessions("web", "web.logout", |session| session.id == id).await?;
        tracing::debug!("{} logged out", ended.join(" "));
        Ok(())
    }

    /// Ends a session, or all; how many there were.
    ///
    /// # Errors
    /// When there is no such session, the caller may not end it, or the database fails.
    pub async fn end_web_sessions(
        &self,
        caller: Caller,
        id: Option<&str>,
    ) -> Result<usize, Failure> {
        here(caller)?;
        let wanted = |session: &Session| id.is_none_or(|id| session.id == id);
        let ended = self.end_sessions("local", "web.session_ended", wanted).await?;
        match id {
            Some(id) if ended.is_empty() => {
                Err(Failure::not_found(format!("there is no session {id:?}"))
                    .hint("see which there are: farhub web sessions"))
            }
            Some(_) | None => Ok(ended.len()),
        }
    }

    async fn end_sessions(
        &self,
        actor: &'static str,
        action: &'static str,
        ends: impl Fn(&Session) -> bool,
    ) -> Result<Vec<String>, Failure> {
        // ended first: what fails afterwards must not keep it open
        let ended = self.0.login.state().sessions.end_where(ends);
        let inner = self.0.clone();
        // done to the end, also when whoever asked goes away
        let noted = self.0.tasks.spawn(async move {
            for id in &ended {
                inner.store.remove_web_session(id).await?;
                inner.audit(actor, action, id, "").await.map_err(internal)?;
            }
            Ok(ended)
        });
        noted.await.map_err(internal)?
    }
}

/// Sets the password in the data folder of a hub that is not running.
///
/// # Errors
/// When a hub is running there, the password is too short or too long, or the folder or the
/// database cannot be used.
pub async fn set_web_password(data: &Path, password: String) -> anyhow::Result<()> {
    let hash = hashed(password).await?;
    hub::make_folder(data)?;
    let _lock = hub::lock(data)?;
    let store = Store::open(&data.join(hub::DATABASE)).await?;
    let new = WebPassword { password: hash, changed_us: Clock::new().now_us() };
    store.audit("local", "web.password", ACCOUNT).await?;
    store.set_web_password(ACCOUNT, &new).await?;
    store.close().await;
    Ok(())
}

/// Who is logged in is a matter of whoever is at this computer.
fn here(caller: Caller) -> Result<(), Failure> {
    match caller {
        Caller::Local => Ok(()),
        Caller::Peer(_) => {
            Err(Failure::refused("the login of a web UI is managed on its computer"))
        }
    }
}

async fn hashed(password: String) -> Result<String, Failure> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        let message = format!("the password must have at least {PASSWORD_CHARS_MIN} characters");
        return Err(Failure::bad_request(message).hint("a few random words are easy to type"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        let message = format!("the password may have at most {PASSWORD_BYTES_MAX} bytes");
        return Err(Failure::bad_request(message));
    }
    let salt: [u8; 16] = rand::random();
    let hash = tokio::task::spawn_blocking(move || {
        let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
        hash.map(|hash| hash.to_string()).map_err(internal)
    });
    hash.await.map_err(internal)?
}

/// Compares in constant time, as `argon2` does.
async fn is_right(password: String, known: Option<WebPassword>) -> Result<bool, Failure> {
    let Some(known) = known else {
        let failure = Failure::new(FailureCode::Conflict, "there is no password yet");
        return Err(failure.hint("on the computer of the hub: farhub web password"));
    };
    if password.len() > PASSWORD_BYTES_MAX {
        return Ok(false);
    }
    let check = tokio::task::spawn_blocking(move || {
        Argon2::default().verify_password(password.as_bytes(), known.password.as_str()).is_ok()
    });
    check.await.map_err(internal)
}

/// The time of day that never goes back, and goes on while the computer sleeps.
#[derive(Debug)]
struct Clock {
    began: Instant,
    began_us: i64,
}

impl Clock {
    fn new() -> Self {
        Self { began: Instant::now(), began_us: time_of_day_us() }
    }

    fn now_us(&self) -> i64 {
        let since = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.began_us.saturating_add(since).max(time_of_day_us())
    }
}

fn time_of_day_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
