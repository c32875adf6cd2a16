//! What a hub tells of a machine, followed also when it breaks off: the port is opened anew when
//! its settings are changed, and a peer may be out of reach for a while.

use crate::at::At;
use crate::client::Events;
use crate::error::{Error, Exit};
use hub::view::Machine;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// What the hub tells.
#[derive(Debug)]
pub(crate) enum News {
    Machine(Box<Machine>),
    Output(Output),
}

#[derive(Debug, Deserialize)]
pub(crate) struct Output {
    pub text: String,
    /// Something before it was lost.
    pub missed: bool,
}

#[derive(Debug)]
pub(crate) enum Fed {
    News(News),
    /// It broke off, and is asked for again.
    Lost,
    /// It is not to be had, which is tried again.
    Away(Error),
    /// What was said before is told first.
    Back,
}

#[derive(Debug)]
pub(crate) struct Feed {
    at: At,
    events: Option<Events<News>>,
    ask_at: Instant,
}

impl Feed {
    pub(crate) async fn open(at: At) -> Result<Self, Error> {
        let events = Some(follow(&at).await?);
        Ok(Self { at, events, ask_at: Instant::now() })
    }

    /// The next. Cancel safe.
    ///
    /// # Errors
    /// When our own hub has stopped, or is not understood.
    pub(crate) async fn next(&mut self) -> Result<Fed, Error> {
        if let Some(events) = &mut self.events {
            return match events.next().await {
                Ok(news) => Ok(Fed::News(news)),
                Err(error) if error.exit != Exit::NotRunning => Err(error),
                Err(_) => {
                    self.events = None;
                    self.ask_at = Instant::now() + FIRST;
                    Ok(Fed::Lost)
                }
            };
        }
        tokio::time::sleep_until(self.ask_at).await;
        match follow(&self.at).await {
            Ok(events) => {
                self.events = Some(events);
                Ok(Fed::Back)
            }
            Err(error) if error.exit == Exit::NotRunning => Err(error),
            Err(error) => {
                self.ask_at = Instant::now() + AGAIN;
                Ok(Fed::Away(error))
            }
        }
    }
}

async fn follow(at: &At) -> Result<Events<News>, Error> {
    at.client
        .follow(&at.machine("/events"), |event| {
            let machine = event.of("machine").map(|told| told.map(News::Machine));
            machine.or_else(|| event.of("output").map(|told| told.map(News::Output)))
        })
        .await
}

/// For a port to be opened anew.
const FIRST: Duration = Duration::from_millis(200);
const AGAIN: Duration = Duration::from_secs(1);
