//! The machines of this hub: a serial port is open for as long as it is shared.
//!
//! So nothing resets a board when somebody attaches it, its stop path is there before anybody
//! needs it, and what it says is heard.

use crate::buttons;
use crate::core::{Caller, Core};
use crate::devices::Source;
use crate::failure::Failure;
use crate::management::Result;
use crate::pairing::internal;
use crate::view::{self, Act, FailureCode, MachineSettings, Role};
use crate::{Hub, Inner};
use futures_util::future::join_all;
use gcode::panel::Said;
use serial::machine::{Config, Error, Machine, state};
use serial::{guard, tty};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use wire::device::Kind;
use wire::serial::{LineCoding, Profile};
use wire::{Address, DeviceId, Pin, Proof};

/// For a machine's thread to close its port.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a machine is run with; another one is another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    node: PathBuf,
    profile: Profile,
    settings: MachineSettings,
    /// Which of the hub's stop buttons are for it.
    buttons: Vec<usize>,
}

struct Running {
    wanted: Wanted,
    closed: oneshot::Receiver<()>,
    follower: tokio::task::JoinHandle<()>,
}

/// Runs for as long as the hub runs.
pub(crate) async fn keep(
    inner: Arc<Inner>,
    guard: Option<guard::Program>,
    buttons: Vec<buttons::Running>,
) {
    let look = |core: &Core| wanted(core, &buttons);
    let mut running: BTreeMap<DeviceId, Running> = BTreeMap::new();
    loop {
        let wanted = inner.shared.look(look);
        let over: Vec<_> = running
            .iter()
            .filter(|(id, known)| wanted.get(*id) != Some(&known.wanted))
            .map(|(id, _)| id.clone())
            .collect();
        let over = over.into_iter().filter_map(|id| {
            let old = running.remove(&id)?;
            let inner = &inner;
            Some(async move { stop(inner, &id, old).await })
        });
        join_all(over.collect::<Vec<_>>()).await;
        for (id, wanted) in wanted {
            if running.contains_key(&id) {
                continue;
            }
            let mut config = config(&wanted, guard.clone());
            let own = wanted.buttons.iter().map(|index| buttons[*index].button.clone());
            config.buttons = own.collect();
            match start(&inner, &id, wanted, config) {
                Ok(started) => drop(running.insert(id, started)),
                Err(error) => tracing::error!(device = %id, "no thread for its port: {error}"),
            }
        }
        inner
            .shared
            .until(|core| {
                let now = look(core);
                let same = now.len() == running.len()
                    && now.iter().all(|(id, wanted)| {
                        running.get(id).is_some_and(|known| known.wanted == *wanted)
                    });
                (!same).then_some(())
            })
            .await;
    }
}

/// Every serial port that is shared and there.
fn wanted(core: &Core, buttons: &[buttons::Running]) -> BTreeMap<DeviceId, Wanted> {
    let shared = core.devices.iter().filter(|(_, local)| local.shared);
    let wanted = shared.filter_map(|(id, local)| {
        let node = match local.source.as_ref()? {
            Source::Serial(node) => node.clone(),
            Source::SimulatedSerial(simulated) => simulated.path().to_owned(),
            Source::Usb(_) | Source::Simulated(_) | Source::Printer { .. } => return None,
        };
        let (profile, settings) = (local.profile(), local.settings.clone());
        let own = buttons.iter().enumerate().filter(|(_, button)| button.is_for(&local.name));
        let buttons = own.map(|(index, _)| index).collect();
        Some((id.clone(), Wanted { node, profile, settings, buttons }))
    });
    wanted.collect()
}

fn start(
    inner: &Arc<Inner>,
    id: &DeviceId,
    wanted: Wanted,
    config: Config,
) -> std::io::Result<Running> {
    let node = wanted.node.clone();
    let opener = move |coding: &LineCoding| tty::Tty::open(&node, coding);
    let (machine, closed) = Machine::start(config, opener)?;
    inner.shared.change(|core| {
        if let Some(local) = core.devices.get_mut(id) {
            local.machine = Some(machine.clone());
        }
    });
    let follower = inner.tasks.spawn(follow(inner.clone(), id.clone(), machine));
    Ok(Running { wanted, closed, follower })
}

async fn stop(inner: &Inner, id: &DeviceId, running: Running) {
    running.follower.abort();
    inner.shared.change(|core| {
        let Some(local) = core.devices.get_mut(id) else { return };
        local.machine = None;
        if let Some(lease) = &local.lease {
            lease.end.cancel();
        }
    });
    if tokio::time::timeout(CLOSE_TIMEOUT, running.closed).await.is_err() {
        tracing::warn!(device = %id, "its port takes long to close");
    }
}

/// Shows what it turns out to be, and why its port is closed; and writes down who stopped it.
async fn follow(inner: Arc<Inner>, id: DeviceId, machine: Machine) {
    let mut states = machine.news();
    let mut stops = 0;
    loop {
        let news = states.borrow_and_update().clone();
        if news.lets_arm().is_err() {
            inner.disarm_jobs(&id);
        }
        let problem = match news.port {
            state::Port::Open => None,
            state::Port::Closed { why } => Some(why),
        };
        // it is run anew as what it is, which nobody who uses it should feel
        let shown = news.firmware.map(|firmware| firmware.profile);
        let shown = shown.filter(|shown| *shown != Profile::Raw && news.user.is_none());
        if let Some(stopped) = news.stopped.filter(|_| news.stops != stops) {
            stops = news.stops;
            // what cannot be logged has been done all the same: stopping comes first
            let told = stopped.reason.to_string();
            if let Err(error) = inner.audit("machine", "machine.stop", &id, &told).await {
                tracing::error!(device = %id, "a stop is not in the audit log: {error:#}");
            }
        }
        inner.shared.change_if(|core| {
            let Some(local) = core.devices.get_mut(&id) else { return false };
            let changed = local.problem != problem;
            local.problem = problem;
            changed
        });
        if let Some(shown) = shown {
            inner.turned_out(&id, shown).await;
        }
        tokio::select! {
            changed = states.changed() => if changed.is_err() { return },
            () = inner.stopping.cancelled() => return,
        }
    }
}

fn config(wanted: &Wanted, guard: Option<guard::Program>) -> Config {
    let settings = &wanted.settings;
    Config {
        is_guess: settings.profile.is_none(),
        coding: settings.coding,
        lines: settings.on_open,
        arming: settings.arming,
        interlock: settings.interlock,
        dead_man: Some(Duration::from_millis(settings.deadman_ms.into())),
        stop_bytes: settings.stop_text.clone().unwrap_or_default().into_bytes(),
        guard,
        ..Config::new(wanted.profile)
    }
}

impl Hub {
    /// A machine of this hub, as far as the caller may see it.
    ///
    /// # Errors
    /// When there is none.
    pub fn machine(&self, caller: Caller, device: &str) -> Result<view::Machine> {
        self.0.shared.look(|core| {
            let (id, role) = may(core, caller, device, Role::View)?;
            let local = &core.devices[&id];
            let machine = local.machine.as_ref().ok_or_else(|| not_there(local))?;
            Ok(view::Machine {
                address: Address { hub: core.hub.name.clone(), device: local.name.clone() },
                simulated: local.is_simulated(),
                role,
                settings: local.settings.clone(),
                state: machine.state(),
                job: core.job_of(&id),
            })
        })
    }

    /// The machine itself, to be watched.
    ///
    /// # Errors
    /// When there is none, or the caller may not see it.
    pub fn watched_machine(&self, caller: Caller, device: &str) -> Result<Machine> {
        self.machine_for(caller, device, Role::View).map(|(_, machine)| machine)
    }

    /// What the owner of a machine says of it.
    ///
    /// # Errors
    /// When this hub has no such port, or the caller may not manage it.
    pub fn machine_settings(&self, caller: Caller, device: &str) -> Result<MachineSettings> {
        self.0.shared.look(|core| {
            let (id, _) = may(core, caller, device, Role::View)?;
            Ok(core.devices[&id].settings.clone())
        })
    }

    /// Says something else of it. A port that is shared is opened anew, and whoever uses it loses
    /// it.
    ///
    /// # Errors
    /// When this hub has no such port, or something of it cannot be.
    pub async fn set_machine(
        &self,
        caller: Caller,
        device: &str,
        settings: MachineSettings,
    ) -> Result<MachineSettings> {
        self.0.allowed(caller)?;
        check(&settings)?;
        let (id, _) = self.0.shared.look(|core| may(core, caller, device, Role::Admin))?;
        let told = serde_json::to_string(&settings).expect("plain data");
        self.0.audit(&caller.actor(), "machine.settings", &id, &told).await.map_err(internal)?;
        let shared = self.0.shared.change(|core| {
            let local = core.devices.get_mut(&id)?;
            // what it was heard to be, it still is
            if local.settings.profile != settings.profile {
                local.set_profile(settings.profile.unwrap_or_default());
            }
            local.settings = settings.clone();
            Some(local.shared)
        });
        let gone = || Failure::not_found("the device was pulled out meanwhile");
        self.0.keep_device(caller, &id, shared.ok_or_else(gone)?, None).await?;
        Ok(settings)
    }

    /// Takes a stop back: programs may send to the machine again.
    ///
    /// # Errors
    /// When the caller may not, or the machine is still being stopped.
    pub async fn clear_stop(&self, caller: Caller, device: &str) -> Result<()> {
        let (id, machine) = self.machine_for(caller, device, Role::Use)?;
        machine.clear_stop().await.map_err(refused)?;
        self.0.audit(&caller.actor(), "machine.clear", &id, "").await.map_err(internal)
    }

    /// Lets whoever uses the machine now turn on its beam or spindle, until nothing was sent for
    /// that long.
    ///
    /// # Errors
    /// When the caller may not, or the machine is not to be armed now.
    pub async fn arm(
        &self,
        caller: Caller,
        device: &str,
        ttl: Duration,
        code: Option<Pin>,
    ) -> Result<()> {
        self.0.prove(caller, device, code).await?;
        let (id, machine) = self.machine_for(caller, device, Role::Control)?;
        let by = self.0.shared.look(|core| core.called(caller));
        let told = format!("for {} s", ttl.as_secs());
        self.0.audit(&caller.actor(), "machine.arm", &id, &told).await.map_err(internal)?;
        machine.arm(by, ttl).await.map_err(refused)
    }

    /// Takes that back.
    ///
    /// # Errors
    /// When the caller may not.
    pub async fn disarm(&self, caller: Caller, device: &str) -> Result<()> {
        let (id, machine) = self.machine_for(caller, device, Role::Use)?;
        machine.disarm().await.map_err(refused)?;
        self.0.audit(&caller.actor(), "machine.disarm", &id, "").await.map_err(internal)
    }

    /// What somebody does at the machine's panel.
    ///
    /// # Errors
    /// When the caller may not, the machine does not know that, or somebody else uses it.
    pub async fn act(&self, caller: Caller, device: &str, act: &Act) -> Result<()> {
        let (id, machine) = self.machine_for(caller, device, Role::Use)?;
        let state = machine.state();
        let by = self.0.shared.look(|core| core.called(caller));
        let uses = state.user.is_none_or(|user| user == by);
        if !act.slows() && !uses {
            // not its program, and more than slowing it down
            self.machine_for(caller, device, Role::Control)?;
        }
        let said = act.say(state.profile);
        let said = said.map_err(|error| Failure::bad_request(error.to_string()))?;
        let told = serde_json::to_string(act).expect("plain data");
        let actor = caller.actor();
        let log = self.0.audit(&actor, "machine.act", &id, &told);
        match said {
            // a hold waits for nothing
            Said::Realtime(bytes) if act.slows() => {
                machine.overtake(bytes.into()).await.map_err(refused)?;
                log.await.map_err(internal)
            }
            Said::Realtime(bytes) => {
                log.await.map_err(internal)?;
                machine.overtake(bytes.into()).await.map_err(refused)
            }
            Said::Lines(lines) => {
                log.await.map_err(internal)?;
                self.0.say(caller, &machine, &lines).await
            }
        }
    }

    /// Sends a line that somebody typed.
    ///
    /// # Errors
    /// When the caller may not, or somebody else uses the machine.
    pub async fn say_to_machine(&self, caller: Caller, device: &str, text: &str) -> Result<()> {
        let (id, machine) = self.machine_for(caller, device, Role::Use)?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.len() > LINE_BYTES_MAX || text.contains(['\0', '\r', '\n']) {
            let message = format!("that is not one line of at most {LINE_BYTES_MAX} bytes");
            return Err(Failure::bad_request(message));
        }
        self.0.audit(&caller.actor(), "machine.send", &id, text).await.map_err(internal)?;
        let line = format!("{text}\n");
        self.0.say(caller, &machine, &line).await
    }

    fn machine_for(&self, caller: Caller, device: &str, role: Role) -> Result<(DeviceId, Machine)> {
        self.0.shared.look(|core| {
            let (id, _) = may(core, caller, device, role)?;
            let local = &core.devices[&id];
            let machine = local.machine.clone().ok_or_else(|| not_there(local))?;
            Ok((id, machine))
        })
    }
}

impl Inner {
    /// A code that came with what somebody asks for.
    pub(crate) async fn prove(
        &self,
        caller: Caller,
        device: &str,
        code: Option<Pin>,
    ) -> Result<()> {
        let (Caller::Peer(peer), Some(_)) = (caller, &code) else { return Ok(()) };
        let id = self.shared.look(|core| known(core, caller, device))?;
        let proven = self.unlock(peer, &id, Proof { pin: None, code }).await;
        proven.map_err(|refusal| Failure::refused(refusal.to_string()))
    }

    /// A machine of which nobody has said what it is turned out to be this. It is remembered, so
    /// that it can be stopped from the moment that this hub starts the next time.
    async fn turned_out(&self, id: &DeviceId, profile: Profile) {
        let kind = self.shared.look(|core| {
            let local = core.devices.get(id)?;
            let is_news = local.settings.profile.is_none() && local.profile() != profile;
            let Kind::Serial(serial) = local.kind.clone() else { return None };
            is_news.then_some(Kind::Serial(wire::device::Serial { profile, ..serial }))
        });
        let Some(kind) = kind else { return };
        let told = serde_json::to_string(&kind).expect("a device is plain data");
        if let Err(error) = self.store.set_device_kind(id.as_str(), &told).await {
            tracing::error!(device = %id, "what it is, is not remembered: {error}");
        }
        self.shared.change(|core| {
            if let Some(local) = core.devices.get_mut(id) {
                local.set_profile(profile);
            }
        });
    }

    async fn say(&self, caller: Caller, machine: &Machine, lines: &str) -> Result<()> {
        let state = machine.state();
        if state.profile == Profile::Raw && state.stopped.is_some() {
            // it knows no line that would unlock it: all of them would be dropped
            return Err(refused(Error::Stopped));
        }
        let by = self.shared.look(|core| core.called(caller));
        let (session, _) = machine.begin(by).await.map_err(refused)?;
        let bytes = bytes::Bytes::copy_from_slice(lines.as_bytes());
        session.up.send(wire::serial::Up::Data, bytes).await.map_err(refused)?;
        session.up.finish().await;
        Ok(())
    }

    /// What came of the last test of the way to a peer's machine.
    pub(crate) fn stop_path_took(
        &self,
        key: &(crate::core::PeerId, DeviceId),
        took: Option<Duration>,
    ) {
        self.shared.change_if(|core| {
            let Some(known) = core.attachments.get_mut(key) else { return false };
            let now = took.map(|took| u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
            let differs = known.stop_path_ms != now;
            known.stop_path_ms = now;
            differs
        });
    }
}

impl Core {
    /// What a caller is called where people read it.
    pub(crate) fn called(&self, caller: Caller) -> wire::Text {
        match caller {
            Caller::Local => self.hub.name.as_str().into(),
            Caller::Peer(peer) => {
                let known = self.peers.get(&peer);
                known.map_or("a former peer", |peer| peer.name.as_str()).into()
            }
        }
    }
}

/// A serial port of this hub, for a caller of at least this role; and which it has.
pub(crate) fn may(
    core: &Core,
    caller: Caller,
    device: &str,
    least: Role,
) -> Result<(DeviceId, Role)> {
    let id = known(core, caller, device)?;
    let Caller::Peer(peer) = caller else { return Ok((id, Role::Admin)) };
    let role = core.role(&peer, &id).expect("it is known to the peer");
    let proven = core.proven_role(&peer, &id).filter(|proven| *proven >= least);
    if proven.is_none() && role >= least {
        let message = format!("{device} asks for a PIN or a code first");
        return Err(Failure::new(FailureCode::CodeNeeded, message)
            .hint("farhub attach HUB/NAME --pin, or --totp CODE"));
    }
    if role < least {
        let hub = &core.hub.name;
        return Err(Failure::refused(format!("{hub} does not let your hub do that with {device}"))
            .hint(format!("on {hub}: farhub grant PEER {device} --role {}", word(least))));
    }
    Ok((id, role))
}

/// A serial port of this hub that the caller may know of. To a peer, what it may not see is not
/// there, in the same words.
fn known(core: &Core, caller: Caller, device: &str) -> Result<DeviceId> {
    let none = || {
        Failure::not_found(format!("this hub has no machine {device:?}"))
            .hint("see what it shares: farhub devices")
    };
    let id = match caller {
        Caller::Local => core.device_named(device)?,
        Caller::Peer(peer) => {
            let named = core.device_named(device).map_err(|_| none())?;
            core.role(&peer, &named).map(|_| named).ok_or_else(none)?
        }
    };
    if matches!(core.devices[&id].kind, Kind::Serial(_)) { Ok(id) } else { Err(none()) }
}

fn word(role: Role) -> String {
    crate::management::serde_word(&role)
}

fn not_there(local: &crate::devices::Local) -> Failure {
    let name = &local.name;
    if !local.shared {
        return Failure::not_found(format!("{name} is not shared: its port is not open"))
            .hint(format!("farhub share {name}"));
    }
    Failure::not_found(format!("{name} is not plugged in"))
}

pub(crate) fn refused(error: Error) -> Failure {
    Failure::new(view::FailureCode::Conflict, error.to_string())
}

/// What no machine can be run with.
fn check(settings: &MachineSettings) -> Result<()> {
    if !settings.coding.is_valid() {
        return Err(Failure::bad_request("a port has 50 to 12000000 baud and 5 to 8 data bits"));
    }
    if !(DEADMAN_MS.0..=DEADMAN_MS.1).contains(&settings.deadman_ms) {
        return Err(Failure::bad_request("deadman_ms is 300 to 10000"));
    }
    let long = settings.stop_text.as_ref().is_some_and(|text| text.len() > LINE_BYTES_MAX);
    if long { Err(Failure::bad_request("stop_text is 256 bytes at most")) } else { Ok(()) }
}

/// Shorter would stop a machine for every hiccup of a network; longer is no dead man's switch.
const DEADMAN_MS: (u32, u32) = (300, 10_000);
/// Longer than any line that a machine takes.
const LINE_BYTES_MAX: usize = 256;
