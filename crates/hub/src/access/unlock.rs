//! Proving oneself: where a grant asks for a PIN or a code, the peer sends it on a stream of its
//! own, and the grant then counts for as long as the proof lives.

use super::{Grant, Now};
use crate::core::{Caller, PeerId};
use crate::failure::Failure;
use crate::view::{Factor, FailureCode, Role};
use crate::{Hub, Inner, Selector, links};
use anyhow::Result;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wire::{Address, DeviceId, Open, Priority, Proof, Refusal};

/// For the answer: the other hub computes argon2, for one after the other.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Grants that one proof may be for; more are not looked at.
const GRANTS_MAX: usize = 4;

impl Inner {
    /// Looks at what a peer sent to prove itself.
    ///
    /// # Errors
    /// What the peer may know of why it is not accepted.
    pub(crate) async fn unlock(
        &self,
        peer: PeerId,
        device: &DeviceId,
        proof: Proof,
    ) -> Result<(), Refusal> {
        let grants = self.shared.look(|core| {
            let grants = core.grants_for(&peer, device, Now::is().wall);
            let use_it = grants.filter(|grant| grant.role >= Role::Use);
            let asking = use_it.map(|grant| (grant.row(&peer), grant.factor.clone()));
            asking.collect::<Vec<_>>()
        });
        if grants.is_empty() {
            return Err(Refusal::NotGranted);
        }
        if grants.iter().any(|(_, factor)| factor.is_none()) {
            return Ok(());
        }
        let mut refusal = grants[0].1.needed().unwrap_or(Refusal::NotGranted);
        for (row, factor) in grants.into_iter().take(GRANTS_MAX) {
            if !factor.is_answered(&proof) {
                continue;
            }
            let tried =
                self.shared.look_at_grant(&peer, &row, |grant| grant.tries.begin(Now::is().steady));
            if let Err(locked) = tried.ok_or(Refusal::NotGranted)? {
                refusal = locked;
                continue;
            }
            let place = self.checks.acquire().await.map_err(|_| Refusal::Busy)?;
            let (asked, given) = (factor.clone(), proof.clone());
            let checked = tokio::task::spawn_blocking(move || asked.check(&given, unix_s())).await;
            drop(place);
            let step = match checked.map_err(|_| Refusal::Failed)? {
                Ok(step) => step,
                Err(_) => {
                    refusal = Refusal::Wrong;
                    continue;
                }
            };
            if let Some(step) = step {
                let step = i64::try_from(step).map_err(|_| Refusal::Failed)?;
                let first = self.store.use_totp_step(&row, step).await.map_err(failed)?;
                if !first {
                    refusal = Refusal::Wrong;
                    continue;
                }
            }
            // what cannot be logged is not done
            let logged =
                self.audit(&peer.to_string(), "factor.proven", device, &row.selector).await;
            logged.map_err(failed)?;
            let done = self.shared.look_at_grant(&peer, &row, |grant| {
                grant.tries.forgive();
                grant.proven = Some(Now::is().steady);
            });
            return done.ok_or(Refusal::NotGranted);
        }
        Err(refusal)
    }
}

impl crate::core::Shared {
    /// Changes a grant, if it is still the same; nobody else can see what changes.
    fn look_at_grant<R>(
        &self,
        peer: &PeerId,
        row: &store::Grant,
        change: impl FnOnce(&mut Grant) -> R,
    ) -> Option<R> {
        self.change_unseen(|core| {
            let mut grants = core.peers.get_mut(peer)?.grants.iter_mut();
            grants.find(|grant| grant.row(peer) == *row).map(change)
        })
    }
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    tracing::error!("a proof could not be noted: {error:#}");
    Refusal::Failed
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Hub {
    /// Proves to a peer's hub that its device may be used here.
    ///
    /// # Errors
    /// When the device is not there, or the proof is not accepted.
    pub async fn unlock(
        &self,
        caller: Caller,
        address: &Address,
        proof: Proof,
    ) -> Result<(), Failure> {
        self.0.allowed(caller)?;
        let key = self.0.shared.look(|core| core.remote_device(address))?;
        let hub = &address.hub;
        let unreachable = || {
            Failure::new(FailureCode::Unreachable, format!("{hub} cannot be reached at present"))
                .hint(format!("see why: farhub path {hub}"))
        };
        let connection = self.0.links.latest(&key.0).ok_or_else(unreachable)?;
        let answered = async {
            let mut duplex = links::open(&connection, Priority::Control).await?;
            duplex.open(&Open::Unlock { device: key.1.clone(), proof }).await?;
            duplex.answered().await
        };
        let answered = tokio::time::timeout(ANSWER_TIMEOUT, answered).await;
        match answered.map_err(|_| unreachable())? {
            Ok(_) => {}
            Err(link::Error::Refused(refusal)) => return Err(refused(address, refusal)),
            Err(_) => return Err(unreachable()),
        }
        self.0.shared.change(|core| {
            if let Some(known) = core.attachments.get_mut(&key) {
                (known.factor, known.error) = (None, None);
                known.unlocked += 1;
            }
        });
        Ok(())
    }
}

fn refused(address: &Address, refusal: Refusal) -> Failure {
    let failure = Failure::refused(format!("{address}: {refusal}"));
    match (refusal, Factor::of(refusal)) {
        (Refusal::LockedOut, _) => failure.hint("wait: each further wrong try doubles the time"),
        (Refusal::Wrong, _) => failure.hint("a code is good once: wait for the next one"),
        (_, Some(Factor::Pin)) => failure.hint(format!("farhub attach {address} --pin")),
        (_, Some(Factor::Code)) => failure.hint(format!("farhub attach {address} --totp CODE")),
        (_, Some(Factor::PinAndCode)) => {
            failure.hint(format!("farhub attach {address} --pin --totp CODE"))
        }
        _ => failure,
    }
}

impl Grant {
    /// One that holds from now on.
    pub(super) fn new(
        selector: Selector,
        role: Role,
        terms: super::Terms,
        factor: super::Factor,
        asked: bool,
    ) -> Self {
        let (tries, proven) = (super::Tries::default(), None);
        Self { selector, role, terms, asked, factor, tries, proven }
    }
}
