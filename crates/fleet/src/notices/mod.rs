//! Tells people elsewhere what has happened: by a webhook, an e-mail or ntfy.
//!
//! Each channel has a task of its own, so that one that is slow or away delays no other. What waits
//! is bounded: what does not fit is lost, and said so in the log. A channel that fails is tried a
//! few times, and shows its last problem. Where a notice goes is known to its channel only, and is
//! never shown or logged.

mod printers;
mod send;

pub(crate) use printers::{OfPrinter, Tell};

use crate::Error;
use crate::feed::News;
use crate::fleet::{Fleet, Inner, now_us};
use crate::recorder::{Change, state};
use crate::view::{self, ChannelKind, NewChannel, Notice, Way};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::shop;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::DeviceId;

/// What is sent.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Message {
    pub(crate) event: Notice,
    /// For people, in one line.
    pub(crate) text: String,
    pub(crate) printer: String,
    pub(crate) printer_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<view::Job>,
    pub(crate) time_us: i64,
}

impl Fleet {
    /// # Errors
    /// When the database fails.
    pub async fn channels(&self) -> Result<Vec<view::Channel>, Error> {
        let mut views = vec![];
        for channel in self.0.shop.channels().await? {
            views.push(self.0.channel_view(channel).await?);
        }
        Ok(views)
    }

    /// # Errors
    /// When where it goes was not said, or makes no sense.
    pub async fn add_channel(&self, new: NewChannel) -> Result<view::Channel, Error> {
        let missing = || Error::Unacceptable("say where the notices are to go".to_owned());
        let way = new.way.clone().ok_or_else(missing)?;
        self.put_channel(crate::id::fresh(now_us()), new, way, now_us()).await
    }

    /// # Errors
    /// When there is no such channel, or what is asked makes no sense.
    pub async fn change_channel(&self, id: &str, new: NewChannel) -> Result<view::Channel, Error> {
        let known = self.0.stored_channel(id).await?;
        let way = match new.way.clone() {
            Some(way) => way,
            None => self.0.way(id).await?,
        };
        self.put_channel(id.to_owned(), new, way, known.created_us).await
    }

    async fn put_channel(
        &self,
        id: String,
        new: NewChannel,
        way: Way,
        created_us: i64,
    ) -> Result<view::Channel, Error> {
        let name: String = new.name.trim().chars().take(NAME_CHARS_MAX).collect();
        if name.is_empty() {
            return Err(Error::Unacceptable("a channel needs a name".to_owned()));
        }
        send::check(&way)?;
        let channel = shop::Channel {
            id: id.clone(),
            name,
            kind: crate::printers::json(&kind(&way)).trim_matches('"').to_owned(),
            events: crate::printers::json(&new.events),
            enabled: new.enabled,
            last_us: None,
            last_problem: None,
            created_us,
        };
        let settings = crate::printers::json(&way);
        self.0.shop.put_channel(&channel, Some(&settings)).await?;
        self.0.feed.news(News::Channels);
        self.0.channel_view(channel).await
    }

    /// # Errors
    /// When there is no such channel.
    pub async fn remove_channel(&self, id: &str) -> Result<(), Error> {
        self.0.stored_channel(id).await?;
        self.0.shop.remove_channel(id).await?;
        self.0.feed.news(News::Channels);
        Ok(())
    }

    /// Sends a test by a channel, now and once.
    ///
    /// # Errors
    /// Says exactly what went wrong.
    pub async fn test_channel(&self, id: &str) -> Result<(), Error> {
        self.0.stored_channel(id).await?;
        let way = self.0.way(id).await?;
        let message = Message {
            event: Notice::JobFinished,
            text: "farhub: this is a test, and it has arrived".to_owned(),
            printer: "no printer".to_owned(),
            printer_id: String::new(),
            job: None,
            time_us: now_us(),
        };
        let sent = send::send(&way, &message).await;
        self.0.shop.channel_told(id, now_us(), sent.as_ref().err().map(String::as_str)).await?;
        self.0.feed.news(News::Channels);
        sent.map_err(Error::Unacceptable)
    }
}

impl Inner {
    /// Tells of what has happened in a job.
    pub(crate) fn tell_of(&self, id: &DeviceId, change: &Change) {
        let job = &change.job;
        for event in &change.events {
            let notice = match event.what.as_str() {
                "started" => Notice::JobStarted,
                "paused" => Notice::JobPaused,
                state::FINISHED => Notice::JobFinished,
                state::CANCELLED => Notice::JobCancelled,
                state::FAILED => Notice::JobFailed,
                _ => continue,
            };
            let why = job.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let text = format!("{}: {} {}{why}", job.printer_name, job.name, event.what);
            self.post(notice, id, text, Some(job.clone().into()));
        }
    }

    pub(crate) fn notice(&self, event: Notice, id: &DeviceId, text: &str) {
        self.post(event, id, text.to_owned(), None);
    }

    /// Tells of a printer itself.
    pub(crate) fn tell_of_printer(&self, id: &DeviceId, tell: Tell) {
        for (event, what) in tell {
            let name = self.look(id, |entry| entry.called()).unwrap_or_default();
            self.notice(event, id, &format!("{name}: {what}"));
        }
    }

    fn post(&self, event: Notice, id: &DeviceId, text: String, job: Option<view::Job>) {
        let printer = self.look(id, |entry| entry.called()).unwrap_or_default();
        let printer_id = id.as_str().to_owned();
        let message = Message { event, text, printer, printer_id, job, time_us: now_us() };
        if self.notices.try_send(message).is_err() {
            tracing::warn!("a notice is lost: too many wait to be sent");
        }
    }

    async fn stored_channel(&self, id: &str) -> Result<shop::Channel, Error> {
        let channel = self.shop.channel(id).await?;
        channel.ok_or_else(|| Error::NotFound(format!("there is no channel {id}")))
    }

    async fn way(&self, id: &str) -> Result<Way, Error> {
        let settings = self.shop.channel_settings(id).await?.unwrap_or_default();
        let unreadable = "where this channel goes cannot be read: say it again";
        serde_json::from_str(&settings).map_err(|_| Error::Conflict(unreadable.to_owned()))
    }

    async fn channel_view(&self, channel: shop::Channel) -> Result<view::Channel, Error> {
        let (shown, problem) = match self.way(&channel.id).await {
            Ok(way) => (send::shown(&way), channel.last_problem),
            // sealed with a key that is gone: it is shown, so that it can be said again or removed
            Err(error @ (Error::Conflict(_) | Error::Store(store::Error::Sealed(_)))) => {
                (String::new(), Some(error.to_string()))
            }
            Err(error) => return Err(error),
        };
        Ok(view::Channel {
            id: channel.id,
            name: channel.name,
            kind: serde_json::from_value(channel.kind.into()).unwrap_or(ChannelKind::Webhook),
            events: serde_json::from_str(&channel.events).unwrap_or_default(),
            enabled: channel.enabled,
            shown,
            last_us: channel.last_us,
            last_problem: problem,
        })
    }
}

/// Sends what is posted as long as the fleet runs.
pub(crate) async fn run(
    inner: Arc<Inner>,
    mut posted: mpsc::Receiver<Message>,
    stopping: CancellationToken,
) {
    let mut senders = Senders::default();
    while let Some(Some(message)) = stopping.run_until_cancelled(posted.recv()).await {
        match inner.shop.channels().await {
            Ok(channels) => senders.tell(&inner, &channels, Arc::new(message)),
            Err(error) => tracing::error!(%error, "a notice is lost: who wants it cannot be read"),
        }
    }
}

/// A task for each channel that was told anything. They end with this.
#[derive(Default)]
struct Senders {
    waiting: BTreeMap<String, mpsc::Sender<Arc<Message>>>,
    tasks: JoinSet<()>,
}

impl Senders {
    fn tell(&mut self, inner: &Arc<Inner>, channels: &[shop::Channel], message: Arc<Message>) {
        // what was removed or switched off is told nothing more
        self.waiting.retain(|id, _| channels.iter().any(|one| one.id == *id && one.enabled));
        while self.tasks.try_join_next().is_some() {}
        for channel in channels.iter().filter(|channel| channel.enabled) {
            let events: Vec<Notice> = serde_json::from_str(&channel.events).unwrap_or_default();
            if !events.contains(&message.event) {
                continue;
            }
            let waiting = self.waiting.entry(channel.id.clone()).or_insert_with(|| {
                let (waiting, posted) = mpsc::channel(CHANNEL_WAITING_MAX);
                self.tasks.spawn(send_all(inner.clone(), channel.id.clone(), posted));
                waiting
            });
            if waiting.try_send(message.clone()).is_err() {
                let channel = &channel.name;
                tracing::warn!(channel, "a notice is lost: too many wait for this channel");
            }
        }
    }
}

/// Sends what one channel is told, one after the other.
async fn send_all(inner: Arc<Inner>, id: String, mut posted: mpsc::Receiver<Arc<Message>>) {
    while let Some(message) = posted.recv().await {
        if let Err(error) = tell(&inner, &id, &message).await {
            tracing::error!(channel = id, %error, "a notice cannot be sent");
        }
    }
}

async fn tell(inner: &Inner, id: &str, message: &Message) -> Result<(), Error> {
    let sent = match inner.way(id).await {
        Ok(way) => send::send_patiently(&way, message).await,
        Err(error) => Err(error.to_string()),
    };
    let problem = sent.err();
    if let Some(problem) = &problem {
        tracing::warn!(channel = id, problem, "a notice did not arrive");
    }
    inner.shop.channel_told(id, now_us(), problem.as_deref()).await?;
    inner.feed.news(News::Channels);
    Ok(())
}

fn kind(way: &Way) -> ChannelKind {
    match way {
        Way::Webhook { .. } => ChannelKind::Webhook,
        Way::Email { .. } => ChannelKind::Email,
        Way::Ntfy { .. } => ChannelKind::Ntfy,
    }
}

/// Notices that wait to be given to their channels.
pub(crate) const WAITING_MAX: usize = 256;
/// Of one channel: one that is away takes a minute for each.
const CHANNEL_WAITING_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 60;

#[cfg(test)]
mod tests;
