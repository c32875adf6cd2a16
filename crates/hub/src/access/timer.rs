//! Ends what is over when it is over: one task that sleeps until the next moment at which
//! something could change.
//!
//! Hours and ends go by the computer's clock, which somebody may set and which goes on while the
//! computer sleeps: the kernel's own timer for that (timerfd_create(2), `CLOCK_REALTIME` with
//! `TFD_TIMER_CANCEL_ON_SET`) wakes us for both. Limits go by a clock that only goes on.

use super::Now;
use crate::Inner;
use crate::core::Core;
use jiff::Timestamp;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

/// When something could change next, on each clock.
#[derive(Clone, Copy, Debug, Default)]
struct Next {
    wall: Option<Timestamp>,
    steady: Option<Instant>,
}

/// Runs for as long as the hub.
pub(crate) async fn keep_time(inner: Arc<Inner>, clock: WallClock) {
    let mut changes = inner.shared.changes();
    settle(&inner).await;
    loop {
        changes.mark_unchanged();
        let next = inner.shared.look(|core| core.next(Now::is()));
        tokio::select! {
            woken = clock.sleep_until(next.wall) => {
                if let Err(error) = woken {
                    // without it what is over would go on: better a minute late than never
                    tracing::error!("the clock's timer: {error}");
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                settle(&inner).await;
            }
            () = steady(next.steady) => settle(&inner).await,
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

async fn steady(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

/// Ends what is over now, and tells everybody to look again.
async fn settle(inner: &Inner) {
    let now = Now::is();
    for (peer, device, why) in inner.shared.look(|core| core.forbidden_sessions(now)) {
        if let Err(error) =
            inner.audit("farhub", "session.cut", &device, format!("{peer} {why}")).await
        {
            tracing::error!("the audit log cannot be written: {error:#}");
        }
    }
    for guest in inner.shared.look(|core| core.guests_gone(now.wall)) {
        if let Err(failure) = inner.forget_peer("farhub", "peer.expired", &guest).await {
            tracing::error!("a guest could not be removed, and may do nothing: {failure}");
            // its grants do not hold any more; the next start tries again
        }
    }
    inner.shared.change(|core| {
        core.reserved.retain(|_, reserved| reserved.until > now.steady);
        core.requests.expire(now.steady);
        core.end_forbidden_sessions();
    });
}

impl Core {
    fn next(&self, now: Now) -> Next {
        let peers = self.peers.values();
        let terms =
            peers.clone().flat_map(|peer| &peer.grants).filter_map(|g| g.terms.next(now.wall));
        let guests = peers.filter_map(|peer| peer.expires).filter(|end| *end > now.wall);
        let leases =
            self.devices.iter().filter_map(|(id, local)| Some((id, local.lease.as_ref()?)));
        let running = leases.filter(|(_, lease)| !lease.end.is_cancelled());
        let limits = running.filter_map(|(id, lease)| self.goes_on(id, lease, now).ok().flatten());
        let reserved = self.reserved.values().map(|reserved| reserved.until);
        let steady = limits.chain(reserved).chain(self.requests.ends());
        Next { wall: terms.chain(guests).min(), steady: steady.min() }
    }
}

/// Sleeps until a time of the computer's clock, however that is set meanwhile.
#[derive(Debug)]
pub(crate) struct WallClock(AsyncFd<OwnedFd>);

impl WallClock {
    /// # Errors
    /// When the kernel has no such timers.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd keeps what that asks for"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Self(timer))
    }

    /// Resolves then, and also when the clock was set; with no time only in the latter case.
    /// Cancel safe.
    async fn sleep_until(&self, until: Option<Timestamp>) -> io::Result<()> {
        let until = until.unwrap_or(FAR);
        let it_value = Timespec {
            // a timer of 0 would be none
            tv_sec: until.as_second().max(1),
            tv_nsec: until.subsec_nanosecond().max(0).into(),
        };
        let value = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&self.0, flags, &value)?;
        loop {
            let mut ready = self.0.readable().await?;
            let mut expirations = [0; 8];
            match rustix::io::read(&self.0, &mut expirations) {
                // ECANCELED: the clock was set
                Ok(_) | Err(Errno::CANCELED) => return Ok(()),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// In the year 2200: nothing that we wait for, but the kernel says when the clock is set.
const FAR: Timestamp = Timestamp::constant(7_258_118_400, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_clock_s_timer_wakes_in_time_and_again() {
        let clock = WallClock::new().unwrap();
        for _ in 0..2 {
            let then = Timestamp::now() + Duration::from_millis(30);
            let slept = tokio::time::timeout(Duration::from_secs(5), clock.sleep_until(Some(then)));
            slept.await.unwrap().unwrap();
            assert!(Timestamp::now() >= then);
        }
        let past = clock.sleep_until(Some(Timestamp::UNIX_EPOCH));
        tokio::time::timeout(Duration::from_secs(5), past).await.unwrap().unwrap();
    }
}
