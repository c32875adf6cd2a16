//! What `--help` says after the options: examples, and what has to be known.

/// The end of `farhub -h`.
pub(super) const END: &str = "\
farhub --help tells more, farhub COMMAND --help has examples.";

/// The end of `farhub --help`.
pub(super) const LONG_END: &str = "\
Start here:
  farhub up --demo             see it work, without any hardware
  farhub devices               what is plugged in, here and at peers
  farhub share 1-1             offer what is plugged in at 1-1
  farhub nearby                who else is on this network, to pair with: farhub pair NAME
  farhub invite                make a ticket; on the other computer: farhub pair TICKET
  farhub grant laptop '*'      let that peer use all that is shared
  farhub attach garage/laser   use it here
  farhub doctor                when something does not work

Exit status:
  0  done
  1  failed
  2  the command line or its values are wrong
  3  the hub is not running
  4  refused: not granted, or no permission
  5  there is no such device, peer or attachment
  6  timed out
  130  interrupted

Data goes to stdout, all else to stderr. With --json, a failure is a line on stderr:
  {\"error\":{\"code\":\"not_found\",\"message\":\"..\",\"hint\":\"..\"}}";

pub(super) const UP: &str = "\
Runs until Ctrl-C or SIGTERM. Settings come from farhub.toml; the command line goes before them.

Examples:
  farhub up --demo                  with simulated devices
  farhub up --name garage           peers see garage/laser, garage/disk
  farhub up --listen 127.0.0.1:0    the web UI on any free port, which is printed
  farhub up --listen 0.0.0.0:3482   the web UI for the network; first: farhub web password
  farhub up --only lan,direct       no relay, even if some are set";
pub(super) const DEVICES: &str = "\
Examples:
  farhub devices
  farhub devices --watch
  farhub devices --hub garage       as garage sees them
  farhub devices --json | jq -r '.[] | select(.shared) | .address'";
pub(super) const SHARE: &str = "\
A peer sees and uses it only if it was granted to that peer: farhub grant.

Examples:
  farhub share 1-1.4 --name laser   what is plugged in at 1-1.4, as laser
  farhub share 0403:6001            the one device with this VID:PID";
pub(super) const UNSHARE: &str = "\
Examples:
  farhub unshare laser";
pub(super) const INVITE: &str = "\
The ticket works once. Give it only to whom you mean: it makes a peer of anyone who has it.

Examples:
  farhub invite
  farhub invite --grant laser                     the peer may use the laser
  farhub invite --grant '*=view' --grant disk     see all, use the disk
  farhub invite --guest 2h --grant disk           for two hours, then it is no peer any more
  farhub invite --expires 24h";
pub(super) const NEARBY: &str = "\
What is announced on a network can be said by anybody in it: names are shown as they are said, with
a warning where one is somebody else's. Who is a peer is told by the key, which has to be proven.

Examples:
  farhub nearby
  farhub nearby --watch
  farhub nearby --json | jq -r '.hubs[] | select(.peer == null) | .name'";
pub(super) const PAIR: &str = "\
By ticket, from anywhere: see farhub invite. By code, on one network: this hub shows a code, which
is typed on the other one, in its web UI or with --accept; that one then shows a check number, which
is typed here. Who types a code that is not on the other screen pairs with somebody else.

Examples:
  farhub pair farhub1abcd... --name garage     by ticket
  farhub pair garage                           by code, with a hub of farhub nearby
  farhub pair --at 192.168.1.7:3482            by code, with whoever is there
  farhub pair --accept 189869                  there: the code that this one shows
  farhub pair office --decline                 there: no";
pub(super) const PEERS: &str = "\
Examples:
  farhub peers
  farhub peers remove laptop
  farhub peers add-address garage garage.example.org:3482";
pub(super) const GRANT: &str = "\
A selector is `*` (all that is shared), a device's name or id, VID:PID, or class:CLASS. The class is
that of the interfaces, and all of them must match: hid, mass-storage, audio, video, ... or 0x08.

Examples:
  farhub grant                                 who may do what
  farhub grant laptop laser                    laptop may use the laser
  farhub grant laptop class:mass-storage
  farhub grant office '*' --role view          office sees what there is
  farhub grant office laser --window 'Mon-Fri 08:00-18:00' --limit 30m
  farhub grant office disk --until 2026-12-01 --pin
  farhub grant office signing-card --totp      shows the secret for an authenticator app

A new grant takes the place of one with the same selector, whole. Grants add up: what one of them
allows is allowed. A session that no grant allows any more ends at once.";
pub(super) const REVOKE: &str = "\
A device in use by the peer is taken from it.

Examples:
  farhub revoke laptop laser
  farhub revoke laptop                         everything";
pub(super) const TRUST: &str = "\
A device that types or becomes a network adapter can take over the computer that it is attached to,
so such devices are attached only from peers that are trusted.

Examples:
  farhub trust garage
  farhub trust garage --no";
pub(super) const REQUEST: &str = "\
The owner answers with `farhub accept` or `farhub deny`, or in the web UI. The hub asks on when this
command ends.

Examples:
  farhub request garage/laser
  farhub request garage/laser --message \"ten minutes, for the front plate\"
  farhub request garage/laser --withdraw";
pub(super) const REQUESTS: &str = "\
Examples:
  farhub requests
  farhub requests --hub garage                 who else asks for what we use there";
pub(super) const ACCEPT: &str = "\
A peer that may not use the device gets a grant that ends by itself. Without --now it waits until
the device is free.

Examples:
  farhub accept 3
  farhub accept 3 --for 20m --now";
pub(super) const DENY: &str = "\
Examples:
  farhub deny 3";
pub(super) const HANDOVER: &str = "\
For one minute nobody else gets it. The owner of a device may hand it over, whoever uses it, to a
peer that asked, and whoever controls it (farhub grant --role control), also to this hub.

Examples:
  farhub handover laser                        ends its use
  farhub handover laser office                 office gets it
  farhub handover garage/laser attic           attic gets what is used here
  farhub handover garage/laser                 this hub gets it, if it controls it";
pub(super) const IMPORT: &str = "\
The other program's database is only read. What is here already stays as it is: the same database
may be imported again.

Examples:
  farhub import printernizer /srv/printernizer/data/printernizer.db --dry-run
  farhub import printernizer /srv/printernizer/data/printernizer.db";
pub(super) const AUDIT: &str = "\
Each entry's hash covers the one before it: a change or a gap shows. What --verify prints is the
hash of the last entry; kept elsewhere, it shows later that nothing was cut off at the end.

Examples:
  farhub audit
  farhub audit --since 24h --who laptop
  farhub audit --action session --device laser
  farhub audit --action device.refused
  farhub audit --verify                        exit status 1 if it is not as it was written";
pub(super) const ATTACH: &str = "\
Waits until the device can be used and prints where it is. The attachment stays until `farhub
detach`: it comes back after a replug, a restart of either hub, or a loss of the network.

Examples:
  farhub attach garage/laser
  farhub attach garage/laser --timeout 30s
  farhub attach garage/laser --as /tmp/laser   a name for programs that take any
  farhub attach garage/laser --tcp 23       for LightBurn: GRBL over TCP at 127.0.0.1
  farhub attach garage/board --rfc2217 4000 for pyserial: rfc2217://127.0.0.1:4000
  farhub attach garage/disk --via usbip     prints the usbip command that fetches it
  farhub attach garage/disk --pin           asks for the PIN that the owner of garage wants
  farhub attach garage/card --totp 123456";
pub(super) const DETACH: &str = "\
Examples:
  farhub detach garage/laser
  farhub detach --all";
pub(super) const ATTACHED: &str = "\
Examples:
  farhub attached
  farhub attached --json | jq -r '.[].nodes[]'";
pub(super) const STOP: &str = "\
What is queued is thrown away, the stop byte goes first, and the machine is asked whether it stands.
It needs no lease and no PIN. This is no emergency stop: a machine that can hurt needs a switch
that is wired to it.

Examples:
  farhub stop garage/laser
  farhub stop --all";
pub(super) const RUN: &str = "\
The program is uploaded (again: from where that broke off), compared with its hash, checked, and
run by the hub that the machine is at. It goes on when this command ends or this computer sleeps;
with --hold-on-loss it is held then. Ctrl-C leaves it running. A program with errors does not run.

The exit status is 0 when the machine has done all of it, and 1 when it was ended or failed.

Examples:
  farhub run garage/laser box.nc --arm
  farhub run garage/router part.nc --hold-on-loss
  farhub run garage/laser box.nc --arm --detach --json | jq .id";
pub(super) const JOB: &str = "\
Examples:
  farhub job list garage/laser
  farhub job show garage/laser 3
  farhub job start garage/laser 3 --arm
  farhub job hold garage/laser 3
  farhub job resume garage/laser 3
  farhub job abort garage/laser 3                its machine is stopped, with its beam off
  farhub job remove garage/laser 3";
pub(super) const JOB_REST: &str = "\
The machine moves up to the highest place that the program has been at, over, switches its spindle
on and goes down, all with the program's own modes; then come the lines. Home it first, and look at
the first lines of what was made: it is a job like any other, and somebody has to start it.
A machine has taken more lines than it has done: those in its planner are lost with a stop, 15 or
more. So begin well before the line that the job had got to.

Examples:
  farhub job show garage/router 3                how far it had got
  farhub job rest garage/router 3 --from 1200
  farhub job start garage/router 4";
pub(super) const JOB_LIST: &str = "\
Examples:
  farhub job list garage/laser
  farhub job list garage/laser --json | jq '.[0].state'";
pub(super) const CONSOLE: &str = "\
On a terminal: Enter sends the line, when the machine has answered the one before; the arrow keys
bring back earlier ones. Ctrl-X stops the machine at once, as farhub stop does. Alone in a line, !
holds, ~ goes on and ? shows the state, of machines that know them. Ctrl-] or Ctrl-D leaves.

From a pipe: each line is sent when the machine has answered the one before, and what it says goes
to stdout. A line that is refused ends it, with status 1. With --json a line of the machine is
{\"said\":\"..\"}, one that was sent {\"sent\":\"..\"}, and a gap {\"missed\":true}.

Examples:
  farhub console garage/laser
  echo '$$' | farhub console garage/laser
  farhub console garage/laser --watch          what it says to others
  farhub console garage/board --wait 5s < lines.txt";
pub(super) const MACHINE: &str = "\
Examples:
  farhub machine show garage/laser
  farhub machine set laser --profile grbl --arming on
  farhub machine arm garage/laser --for 10m
  farhub machine clear garage/laser            after a stop";
pub(super) const SHOW: &str = "\
The way of a stop is tried, there and back, and nothing is done.

Examples:
  farhub machine show garage/laser
  farhub machine show garage/laser --watch
  farhub machine show garage/laser --json | jq .state.status";
pub(super) const SET: &str = "\
What is not named stays as it is. The port is opened anew: whoever uses the machine loses it.

Examples:
  farhub machine set laser                     as it is set now
  farhub machine set laser --profile grbl --arming on --deadman 500ms
  farhub machine set laser --interlock cts     a door switch between CTS and a pin that is high
  farhub machine set board --baud 9600 --parity even --on-open deassert
  farhub machine set pump --profile raw --stop-text 'OFF'
  farhub machine set garage/laser --arming off where we may manage it (role admin)";
pub(super) const ARM: &str = "\
For machines with the setting arming. It is for the one who has the machine attached now, and ends
by itself: when nothing was sent for that long, with a stop, and when the machine is detached. A
program of farhub run is armed by --arm.

Examples:
  farhub machine arm garage/laser
  farhub machine arm garage/laser --for 10m --totp 123456";
pub(super) const DISARM: &str = "\
Examples:
  farhub machine disarm garage/laser";
pub(super) const CLEAR: &str = "\
A program that unlocks the machine itself ($X, $H, M999) does the same. Look at the machine first.

Examples:
  farhub machine clear garage/laser";
pub(super) const WEB: &str = "\
The web UI is for this computer alone until it listens on another address (farhub up --listen, or
listen in farhub.toml). Then it asks for the password of the one account that there is, the
owner's, and speaks TLS: with your own certificate, or one that it makes itself. The password is
typed, or read from stdin; it is never an argument, which everybody on the computer could see.

Examples:
  farhub web password
  farhub web password < file
  farhub web status                            the address, and the fingerprint to compare
  farhub web sessions
  farhub web sessions --end 3f2a9c01
  farhub web sessions --all                    log everybody out";
pub(super) const PATH: &str = "\
lan: in the same network; direct: from network to network; relay: by way of a relay, and still
encrypted from hub to hub. Says how its addresses were tried, which one won, and where it is relayed
or out of reach, why and what would help.

Examples:
  farhub path garage
  farhub path garage --watch";
pub(super) const BENCH: &str = "\
Takes about ten seconds. The peer lets those measure to whom it granted any device, and not more
than a few times a minute. What devices send goes first, so measure while they rest. Bytes go over
one stream of the connection, as those of a disk do.

Examples:
  farhub bench garage
  farhub bench garage --json | jq '.[].bytes_per_s'";
pub(super) const DOCTOR: &str = "\
Changes nothing. Exit status 1 if something must be mended.

Examples:
  farhub doctor
  sudo farhub doctor                           what only root can see";
pub(super) const RELAY: &str = "\
Runs until Ctrl-C or SIGTERM. What goes through it is encrypted from hub to hub. It prints one line
for farhub.toml of the hubs that are to use it; tickets of those hubs tell it to the others. The
line holds a secret, by which it admits whoever has it, unless keys are named with --allow. Settings
may also stand in relay.toml in the data folder, under the same names.

Examples:
  farhub relay                                   on TCP and UDP 3483, with a certificate of its own
  farhub relay --show                            only the line for the hubs
  farhub relay --url https://relay.example.org:3483 --cert fullchain.pem --key key.pem
  farhub relay --http --listen 127.0.0.1:3483 --url https://relay.example.org   behind a proxy
  farhub relay --listen 0.0.0.0:443 --acme relay.example.org --contact me@example.org
  farhub relay --allow-file keys --rate 5000000 --metrics 127.0.0.1:9090";
pub(super) const SERVICE: &str = "\
Examples:
  sudo farhub service install
  farhub service install --dry-run             show every file first
  farhub service status
  sudo farhub service uninstall";
pub(super) const COMPLETIONS: &str = "\
Examples:
  farhub completions bash > ~/.local/share/bash-completion/completions/farhub
  farhub completions zsh > ~/.zfunc/_farhub
  farhub completions fish > ~/.config/fish/completions/farhub.fish";
