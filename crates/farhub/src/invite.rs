//! `farhub invite`: a ticket by which another hub becomes a peer.

use crate::cli;
use crate::client::Client;
use crate::error::Error;
use crate::out::Out;
use crate::peers;
use crate::qr::qr;
use crate::requests::told;
use hub::view::Invite;
use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::json;
use std::io::IsTerminal;

pub(crate) async fn invite(client: &Client, out: Out, args: cli::Invite) -> Result<(), Error> {
    let body = json!({ "expires_s": args.expires.as_secs(), "grants": args.grant,
        "guest_s": args.guest.map(|guest| guest.as_secs()) });
    let invite: Invite = client.post("/invites", &body).await?;
    if out.json {
        return out.document(&invite);
    }
    // For somebody with a camera before a screen, and for no log.
    if std::io::stderr().is_terminal() {
        // A code is smaller in capitals; a ticket may be written either way.
        eprint!("{}", qr(&invite.ticket.to_uppercase())?);
    }
    eprintln!("Good once, {}. On the other computer: farhub pair TICKET", until(&invite.expires));
    match args.grant.as_slice() {
        [] => eprintln!("It may use nothing here yet; then grant it something: farhub grant"),
        grants => eprintln!("It may use: {}", peers::granted(grants, peers::terms)),
    }
    if let Some(guest) = args.guest {
        eprintln!("It is a guest, and no peer any more {} after it has paired.", told(guest));
    }
    eprintln!();
    out.line(&invite.ticket)
}

/// A time without the parts of its second, which nobody reads.
pub(crate) fn second(time: &str) -> String {
    let whole = time.parse().ok().and_then(|at: Timestamp| at.round(Unit::Second).ok());
    whole.map_or_else(|| time.to_owned(), |at| at.to_string())
}

/// `for 10 minutes`; the hub's own words where its clock and ours differ too much.
fn until(expires: &str) -> String {
    let left = |at: Timestamp| at.duration_since(Timestamp::now()).round(Unit::Minute).ok();
    match expires.parse().ok().and_then(left) {
        Some(left) if left >= SignedDuration::from_hours(2) => {
            format!("for {} hours", left.as_hours())
        }
        Some(left) if left >= SignedDuration::from_mins(1) => {
            format!("for {} minutes", left.as_mins())
        }
        _ => format!("until {}", second(expires)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_as_people_say_it() {
        let after =
            |minutes| until(&(Timestamp::now() + SignedDuration::from_mins(minutes)).to_string());
        assert_eq!(after(10), "for 10 minutes");
        assert_eq!(after(24 * 60), "for 24 hours");
        assert_eq!(until("1970-01-01T00:00:00.25Z"), "until 1970-01-01T00:00:00Z");
    }
}
