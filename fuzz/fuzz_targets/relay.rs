//! Lines of relays, of settings and of tickets: what is read is written the same way.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::Relay;

fuzz_target!(|text: &str| {
    if let Ok(relay) = text.parse::<Relay>() {
        assert_eq!(relay.line().parse(), Ok(relay.clone()));
        assert!(
            relay
                .token()
                .is_none_or(|secret| !format!("{relay:?}{relay}").contains(&format!("={secret}")))
        );
    }
});
