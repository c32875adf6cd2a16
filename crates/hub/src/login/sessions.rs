//! The sessions of browsers that have logged in. No I/O, no clock.
//!
//! A session is known by a random token of 256 bits that only its browser has: here is its hash.
//! It ends when it was not used for [`IDLE`], [`WHOLE`] after it began, or when somebody ends it;
//! what is streamed to it ends at the same moment.

use crate::view;
use blake3::Hash;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// For how long a session that nobody uses goes on.
const IDLE: Duration = Duration::from_secs(12 * 60 * 60);
/// For how long any session goes on.
const WHOLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// More browsers than one person has; beyond that the one that was idle for longest is logged out.
const SESSIONS_MAX: usize = 32;
/// How old the note in the database of a session's last use may be.
const NOTE_EVERY: Duration = Duration::from_secs(5 * 60);
/// A session that began later than now: the clock was set back. Then nobody knows how old it is.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
/// Of what a browser calls itself.
const AGENT_CHARS_MAX: usize = 200;

/// What a request is, for the time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A person did something, or opened the page.
    Acts,
    /// A page that is open keeps itself up to date: that is no use.
    Watches,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    token: Hash,
    since_us: i64,
    seen_us: i64,
    noted_us: i64,
    address: String,
    agent: String,
    pub(crate) ended: CancellationToken,
}

impl Session {
    /// A new one, and the token that its browser gets.
    pub(crate) fn new(address: String, agent: &str, now_us: i64) -> (Self, String) {
        let secret: [u8; 32] = rand::random();
        let token = BASE64URL_NOPAD.encode(&secret);
        let id: [u8; 4] = rand::random();
        let agent = agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX).collect();
        let session = Self {
            id: HEXLOWER.encode(&id),
            token: hash(&token),
            since_us: now_us,
            seen_us: now_us,
            noted_us: now_us,
            address,
            agent,
            ended: CancellationToken::new(),
        };
        (session, token)
    }

    pub(crate) fn row(&self) -> store::WebSession {
        store::WebSession {
            id: self.id.clone(),
            token_hash: self.token.to_hex().to_string(),
            since_us: self.since_us,
            seen_us: self.seen_us,
            address: self.address.clone(),
            agent: self.agent.clone(),
        }
    }

    pub(crate) fn view(&self) -> view::WebSession {
        view::WebSession {
            id: self.id.clone(),
            account: super::ACCOUNT.to_owned(),
            address: self.address.clone(),
            agent: self.agent.clone(),
            since: time(self.since_us),
            seen: time(self.seen_us),
            expires: time(self.expires_us()),
        }
    }

    fn expires_us(&self) -> i64 {
        (self.seen_us.saturating_add(us(IDLE))).min(self.since_us.saturating_add(us(WHOLE)))
    }

    /// `None` when it is over.
    fn left(&self, now_us: i64) -> Option<Duration> {
        let from_the_future = self.since_us > now_us.saturating_add(us(CLOCK_SKEW));
        let left = u64::try_from(self.expires_us().saturating_sub(now_us)).ok()?;
        (left > 0 && !from_the_future).then(|| Duration::from_micros(left))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Sessions(Vec<Session>);

/// A session that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) view: view::WebSession,
    /// Its last use, when that is to be noted in the database now.
    pub(crate) note_us: Option<i64>,
}

impl Sessions {
    /// What the database knows; what cannot be read is nobody's.
    pub(crate) fn remembered(rows: Vec<store::WebSession>) -> Self {
        let session = |row: store::WebSession| {
            Some(Session {
                id: row.id,
                token: Hash::from_hex(&row.token_hash).ok()?,
                since_us: row.since_us,
                seen_us: row.seen_us,
                noted_us: row.seen_us,
                address: row.address,
                agent: row.agent,
                ended: CancellationToken::new(),
            })
        };
        Self(rows.into_iter().filter_map(session).collect())
    }

    /// Those that are over, or for which there is no more room: they end.
    pub(crate) fn make_room(&mut self, now_us: i64) -> Vec<String> {
        let mut ended = self.end_where(|session| session.left(now_us).is_none());
        while self.0.len() >= SESSIONS_MAX {
            let oldest = self.0.iter().min_by_key(|session| session.seen_us);
            let oldest = oldest.expect("there are many").id.clone();
            ended.extend(self.end_where(|session| session.id == oldest));
        }
        ended
    }

    pub(crate) fn add(&mut self, session: Session) {
        self.0.push(session);
    }

    /// The session of a token, which is used now.
    pub(crate) fn find(&mut self, token: &str, by: Use, now_us: i64) -> Option<Found> {
        let token = hash(token);
        // comparing hashes takes the same time wherever they differ
        let session = self.0.iter_mut().find(|session| session.token == token)?;
        session.left(now_us)?;
        if by == Use::Acts {
            session.seen_us = session.seen_us.max(now_us);
        }
        let note = session.seen_us.saturating_sub(session.noted_us) >= us(NOTE_EVERY);
        if note {
            session.noted_us = session.seen_us;
        }
        Some(Found { view: session.view(), note_us: note.then_some(session.seen_us) })
    }

    /// How long a session goes on if it is not used, and its end if it comes before.
    pub(crate) fn left(&self, id: &str, now_us: i64) -> Option<(Duration, CancellationToken)> {
        let session = self.0.iter().find(|session| session.id == id)?;
        Some((session.left(now_us)?, session.ended.clone()))
    }

    /// Those that are not over.
    pub(crate) fn views(&self, now_us: i64) -> Vec<view::WebSession> {
        let live = self.0.iter().filter(|session| session.left(now_us).is_some());
        live.map(Session::view).collect()
    }

    /// Ends sessions; their ids.
    pub(crate) fn end_where(&mut self, ends: impl Fn(&Session) -> bool) -> Vec<String> {
        let ended = self.0.extract_if(.., |session| ends(session));
        ended
            .map(|session| {
                session.ended.cancel();
                session.id
            })
            .collect()
    }
}

fn hash(token: &str) -> Hash {
    blake3::hash(token.as_bytes())
}

fn us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn time(us: i64) -> String {
    Timestamp::from_microsecond(us).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_US: i64 = 1_700_000_000_000_000;

    fn logged_in(sessions: &mut Sessions, now_us: i64) -> (String, String) {
        let (session, token) = Session::new("192.0.2.1".into(), "Browser\n", now_us);
        let id = session.id.clone();
        sessions.add(session);
        (id, token)
    }

    #[test]
    fn a_session_ends_when_it_is_idle_and_in_any_case() {
        let mut sessions = Sessions::default();
        let (_, token) = logged_in(&mut sessions, START_US);
        let almost = us(IDLE) - 1;
        assert!(sessions.find(&token, Use::Watches, START_US + almost).is_some());
        assert!(sessions.find(&token, Use::Acts, START_US + us(IDLE)).is_none(), "nobody acted");
        let mut now_us = START_US;
        let (_, token) = logged_in(&mut sessions, now_us);
        while now_us + almost < START_US + us(WHOLE) {
            now_us += almost;
            assert!(sessions.find(&token, Use::Acts, now_us).is_some());
        }
        assert!(sessions.find(&token, Use::Acts, START_US + us(WHOLE)).is_none());
        assert_eq!(sessions.make_room(START_US + us(WHOLE)).len(), 2);
    }

    #[test]
    fn tokens_are_random_and_only_their_hash_is_kept() {
        let mut sessions = Sessions::default();
        let (_, one) = logged_in(&mut sessions, START_US);
        let (_, other) = logged_in(&mut sessions, START_US);
        assert_ne!(one, other);
        assert_eq!(BASE64URL_NOPAD.decode(one.as_bytes()).unwrap().len(), 32);
        let shown = format!("{sessions:?} {:?}", sessions.0[0].row());
        assert!(!shown.contains(&one));
        assert!(sessions.find("", Use::Acts, START_US).is_none());
        assert_eq!(sessions.0[0].agent, "Browser");
    }

    #[test]
    fn what_ends_is_told_and_stays_ended() {
        let mut sessions = Sessions::default();
        let (id, token) = logged_in(&mut sessions, START_US);
        let (left, ended) = sessions.left(&id, START_US).unwrap();
        assert_eq!((left, ended.is_cancelled()), (IDLE, false));
        let ends = sessions.end_where(|session| session.id == id);
        assert!(ends.len() == 1 && ends[0] == id);
        assert!(ended.is_cancelled() && sessions.left(&id, START_US).is_none());
        assert!(sessions.find(&token, Use::Acts, START_US).is_none());
    }

    #[test]
    fn a_session_survives_a_restart_but_not_a_clock_that_is_set_back() {
        let mut sessions = Sessions::default();
        let (_, token) = logged_in(&mut sessions, START_US);
        let rows = || sessions.0.iter().map(Session::row).collect::<Vec<_>>();
        let mut again = Sessions::remembered(rows());
        assert!(again.find(&token, Use::Acts, START_US).is_some());
        let yesterday_us = START_US - 24 * us(Duration::from_secs(3600));
        assert!(Sessions::remembered(rows()).find(&token, Use::Acts, yesterday_us).is_none());
        let damaged = store::WebSession { token_hash: "zz".into(), ..rows().remove(0) };
        assert!(Sessions::remembered(vec![damaged]).0.is_empty());
    }

    #[test]
    fn there_are_not_more_than_that() {
        let mut sessions = Sessions::default();
        let (first, _) = logged_in(&mut sessions, START_US);
        for number in 1..32 {
            assert!(sessions.make_room(START_US + number).is_empty());
            logged_in(&mut sessions, START_US + number);
        }
        let gone = sessions.make_room(START_US + 32);
        assert!(gone.len() == 1 && gone[0] == first, "the one that was idle for longest");
        logged_in(&mut sessions, START_US + 32);
        assert_eq!(sessions.views(START_US + 100).len(), SESSIONS_MAX);
    }

    #[test]
    fn the_database_is_not_written_for_every_request() {
        let mut sessions = Sessions::default();
        let (_, token) = logged_in(&mut sessions, START_US);
        let mut noted = |after| sessions.find(&token, Use::Acts, START_US + after).unwrap().note_us;
        assert_eq!(noted(1), None);
        let later = us(NOTE_EVERY);
        assert_eq!((noted(later), noted(later + 1)), (Some(START_US + later), None));
    }
}
