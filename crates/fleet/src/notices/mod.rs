//! Tells people elsewhere what has happened: by a webhook, an e-mail or ntfy.
//!
//! One task sends; what waits for it is bounded, and what does not fit is counted as lost and said
//! so in the log. A channel that fails is tried a few times, and shows its last problem. Where a
//! notice goes is known to its channel only, and is never shown or logged.

mod send;

use crate::Error;
use crate::feed::News;
use crate::fleet::{Fleet, Inner, now_us};
use crate::recorder::{Change, state};
use crate::view::{self, ChannelKind, NewChannel, Notice, Way};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use store::shop;
use tokio::sync::mpsc;
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
        self.put_channel(crate::id::fresh(now_us()), new, Some(way), now_us()).await
    }

    /// # Errors
    /// When there is no such channel, or what is asked makes no sense.
    pub async fn change_channel(&self, id: &str, new: NewChannel) -> Result<view::Channel, Error> {
        let known = self.0.stored_channel(id).await?;
        let way = match new.way.clone() {
            Some(way) => way,
            None => self.0.way(id).await?,
        };
        self.put_channel(id.to_owned(), new, Some(way), known.created_us).await
    }

    async fn put_channel(
        &self,
        id: String,
        new: NewChannel,
        way: Option<Way>,
        created_us: i64,
    ) -> Result<view::Channel, Error> {
        let name: String = new.name.trim().chars().take(NAME_CHARS_MAX).collect();
        if name.is_empty() {
            return Err(Error::Unacceptable("a channel needs a name".to_owned()));
        }
        let way = way.expect("both callers have one");
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
        let way = self.way(&channel.id).await?;
        Ok(view::Channel {
            id: channel.id,
            name: channel.name,
            kind: kind(&way),
            events: serde_json::from_str(&channel.events).unwrap_or_default(),
            enabled: channel.enabled,
            shown: send::shown(&way),
            last_us: channel.last_us,
            last_problem: channel.last_problem,
        })
    }
}

/// Sends what is posted as long as the fleet runs.
pub(crate) async fn run(
    inner: Arc<Inner>,
    mut posted: mpsc::Receiver<Message>,
    stopping: CancellationToken,
) {
    while let Some(Some(message)) = stopping.run_until_cancelled(posted.recv()).await {
        let sent = stopping.run_until_cancelled(tell(&inner, &message)).await;
        if let Some(Err(error)) = sent {
            tracing::error!(%error, "a notice cannot be sent");
        }
    }
}

async fn tell(inner: &Inner, message: &Message) -> Result<(), Error> {
    for channel in inner.shop.channels().await? {
        let events: Vec<Notice> = serde_json::from_str(&channel.events).unwrap_or_default();
        if !channel.enabled || !events.contains(&message.event) {
            continue;
        }
        let way = inner.way(&channel.id).await?;
        let mut sent = send::send(&way, message).await;
        for pause in AGAIN_AFTER {
            if sent.is_ok() {
                break;
            }
            tokio::time::sleep(pause).await;
            sent = send::send(&way, message).await;
        }
        let problem = sent.err();
        if let Some(problem) = &problem {
            tracing::warn!(channel = channel.name, problem, "a notice did not arrive");
        }
        inner.shop.channel_told(&channel.id, now_us(), problem.as_deref()).await?;
        inner.feed.news(News::Channels);
    }
    Ok(())
}

fn kind(way: &Way) -> ChannelKind {
    match way {
        Way::Webhook { .. } => ChannelKind::Webhook,
        Way::Email { .. } => ChannelKind::Email,
        Way::Ntfy { .. } => ChannelKind::Ntfy,
    }
}

/// Notices that wait to be sent.
pub(crate) const WAITING_MAX: usize = 256;
const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];
const NAME_CHARS_MAX: usize = 60;
