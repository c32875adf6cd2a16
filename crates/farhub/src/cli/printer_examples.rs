//! Examples at the end of each help of `farhub printer`, `backup` and `restore`.

pub(super) const PRINTER: &str = "\
PRINTER is NAME of a printer of the hub, or HUB/NAME of one of a peer. A guide for each brand is in
docs/printers.md.

Examples:
  farhub printer seen                             what announces itself on this network
  farhub printer add 192.168.1.60 --protocol bambu --serial 01P00A000000001
  farhub printer list --watch
  farhub printer send prusa-1 bracket.gcode --start
  farhub printer pause garage/prusa-1
  farhub printer jobs --since 7d --csv > jobs.csv";
pub(super) const LIST: &str = "\
Examples:
  farhub printer list
  farhub printer list --watch
  farhub printer list --json | jq -r '.[] | select(.state.phase == \"printing\") | .name'
  farhub printer list --hub garage                as garage shows them to us";
pub(super) const SEEN: &str = "\
Bambu and PrusaLink announce themselves; Moonraker and OctoPrint do if they are set up so. What is
in another network is not heard, and can be added by its address.

Examples:
  farhub printer seen
  farhub printer seen --seconds 10";
pub(super) const ADD: &str = "\
Access code, password or API key are asked for without showing them, or are the first line of
stdin or of --secret-file. Where each brand shows them: docs/printers.md.

Exit status when it cannot be reached: 4 wrong secret or certificate, 6 no answer, 1 anything else.

Examples:
  farhub printer add 192.168.1.60 --protocol bambu --serial 01P00A000000001 --title \"P1S left\"
  farhub printer add mk4.lan --protocol prusalink --user maker --tag pla
  farhub printer add voron.lan --protocol moonraker            no secret, where it trusts us
  farhub printer add 192.168.1.70 --protocol octoprint --secret-file key.txt
  farhub printer add 192.168.1.60                  as it announces itself";
pub(super) const TEST: &str = "\
Exit status: 0 all is well, 4 wrong secret or certificate, 6 no answer, 1 anything else.

Examples:
  farhub printer test prusa-1
  farhub printer test garage/prusa-1";
pub(super) const SHOW: &str = "\
Examples:
  farhub printer show prusa-1
  farhub printer show garage/prusa-1 --watch
  farhub printer show prusa-1 --json | jq .state.temperatures";
pub(super) const SET: &str = "\
Examples:
  farhub printer set prusa-1 --title \"Prusa by the window\" --tag pla --tag small
  farhub printer set prusa-1 --host 192.168.1.61
  farhub printer set p1s --secret                  its access code is another now
  farhub printer set p1s --queue off --enabled on";
pub(super) const REMOVE: &str = "\
Examples:
  farhub printer remove prusa-1";
pub(super) const START: &str = "\
Examples:
  farhub printer start prusa-1 /usb/bracket.gcode
  farhub printer start p1s plates.gcode.3mf --plate 2";
pub(super) const PAUSE: &str = "\
Examples:
  farhub printer pause prusa-1
  farhub printer pause garage/prusa-1";
pub(super) const RESUME: &str = "\
Examples:
  farhub printer resume prusa-1";
pub(super) const STOP: &str = "\
This asks the printer's firmware. In danger use the switch of the printer itself.

Examples:
  farhub printer stop prusa-1";
pub(super) const CLEAR: &str = "\
Examples:
  farhub printer clear prusa-1";
pub(super) const LIGHT: &str = "\
Examples:
  farhub printer light p1s on
  farhub printer light garage/p1s off";
pub(super) const SPEED: &str = "\
Examples:
  farhub printer speed prusa-1 120
  farhub printer speed prusa-1 100";
pub(super) const HEAT: &str = "\
Examples:
  farhub printer heat prusa-1 hotend 215
  farhub printer heat prusa-1 bed 60
  farhub printer heat prusa-1 bed 0                off";
pub(super) const GCODE: &str = "\
At a peer's printer this needs the role control.

Examples:
  farhub printer gcode voron G28
  farhub printer gcode voron 'G1 Z50 F600' M84";
pub(super) const BED_CLEAR: &str = "\
Examples:
  farhub printer bed-clear prusa-1";
pub(super) const FILES: &str = "\
Examples:
  farhub printer files prusa-1
  farhub printer files prusa-1 --refresh --search bracket";
pub(super) const SEND: &str = "\
Ctrl-C leaves: what is on its way to the printer goes on.

Examples:
  farhub printer send prusa-1 bracket.gcode
  farhub printer send garage/p1s plate.gcode.3mf --start";
pub(super) const FETCH: &str = "\
It goes on where it broke off before. What is there already is not overwritten.

Examples:
  farhub printer fetch prusa-1 /usb/bracket.gcode
  farhub printer fetch garage/p1s plate.gcode.3mf --to old.gcode.3mf";
pub(super) const JOBS: &str = "\
Examples:
  farhub printer jobs
  farhub printer jobs prusa-1 p1s --state failed --since 7d
  farhub printer jobs --search bracket --json | jq '.jobs[].printed_s'
  farhub printer jobs --since 2026-01-01 --csv --german > jobs.csv";
pub(super) const QUEUE: &str = "\
Examples:
  farhub printer queue list
  farhub printer queue add bracket.gcode --copies 4 --tag pla
  farhub printer queue add plate.gcode.3mf --on p1s --hold
  farhub printer queue hold 0193a7c2               the beginning of an id is enough
  farhub printer queue release 0193a7c2
  farhub printer queue cancel 0193a7c2";
pub(super) const NOTICES: &str = "\
Examples:
  farhub printer notices add phone --ntfy ntfy.sh/my-farm-4711
  farhub printer notices add chat --webhook - --event job_failed,printer_fault
  farhub printer notices add mail --email me@example.org --from farm@example.org \\
      --smtp mail.example.org --user farm
  farhub printer notices list
  farhub printer notices test phone
  farhub printer notices remove phone";
pub(super) const BACKUP: &str = "\
The hub goes on meanwhile. What is written: its key, its database, that of the print shop with the
key of its secrets, farhub.toml. Whoever has the file is this hub: keep it as safe as a password.

Examples:
  farhub backup farhub.tar
  farhub backup --files farhub.tar                with what printed files contain
  farhub backup \"/mnt/nas/farhub-$(date +%F).tar\"";
pub(super) const RESTORE: &str = "\
The backup is checked as a whole before anything takes the place of what is there. The hub must not
run here; and two hubs with one key must not run anywhere.

Examples:
  farhub restore farhub.tar
  farhub --data /tmp/look restore farhub.tar      into another folder
  sudo systemctl stop farhub && sudo farhub restore --replace farhub.tar";
