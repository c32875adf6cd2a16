//! Control requests that the kernel must hear of, because it keeps state for them: data toggles,
//! the bandwidth and the endpoints of alternate settings, drivers of interfaces. Sent as plain
//! transfers they would leave kernel and device of different minds.
//!
//! `tweak_special_requests` of `linux/drivers/usb/usbip/stub_rx.c`; USB 2.0 §9.4.

/// A request that is done by an ioctl of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    /// USB 2.0 §9.4.7
    SetConfiguration(u8),
    /// USB 2.0 §9.4.10
    SetInterface { interface: u8, alternate: u8 },
    /// USB 2.0 §9.4.1, of an endpoint's halt
    ClearHalt(u8),
    /// A port reset
    Reset,
    /// USB 2.0 §9.4.6: a device has its address from the host that it is plugged into, and would
    /// be lost with another. Answered like a request that a device doesn't know.
    SetAddress,
}

/// What a setup packet asks for, if it is special.
#[must_use]
pub(super) fn decode(setup: &[u8; 8]) -> Option<Special> {
    let [request_type, request, low, high, index, index_high, ..] = *setup;
    if setup[6..] != [0, 0] {
        return None;
    }
    match (request_type, request) {
        (0x00, 5) => Some(Special::SetAddress),
        (0x00, 9) if high == 0 => Some(Special::SetConfiguration(low)),
        (0x01, 11) if high == 0 && index_high == 0 => {
            Some(Special::SetInterface { interface: index, alternate: low })
        }
        (0x02, 1) if (low, high, index_high) == (0, 0, 0) => Some(Special::ClearHalt(index)),
        // SET_FEATURE(PORT_RESET) of a hub, USB 2.0 §11.24.2.13: how Windows asks for it through
        // USB/IP, as no hub is ever offered.
        (0x23, 3) if (low, high) == (4, 0) => Some(Special::Reset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn requests_with_state_in_the_kernel_are_special() {
        let configuration = Some(Special::SetConfiguration(1));
        assert_eq!(decode(&hex!("00 09 0100 0000 0000")), configuration);
        let interface = Some(Special::SetInterface { interface: 2, alternate: 3 });
        assert_eq!(decode(&hex!("01 0b 0300 0200 0000")), interface);
        assert_eq!(decode(&hex!("02 01 0000 8100 0000")), Some(Special::ClearHalt(0x81)));
        assert_eq!(decode(&hex!("23 03 0400 0100 0000")), Some(Special::Reset));
        assert_eq!(decode(&hex!("00 05 0700 0000 0000")), Some(Special::SetAddress));
    }

    #[test]
    fn all_others_are_not() {
        let plain = [
            hex!("80 06 0001 0000 1200"), // GET_DESCRIPTOR
            hex!("02 03 0000 8100 0000"), // SET_FEATURE(ENDPOINT_HALT)
            hex!("00 01 0100 0000 0000"), // CLEAR_FEATURE(DEVICE_REMOTE_WAKEUP)
            hex!("02 01 0100 8100 0000"), // CLEAR_FEATURE of no known feature
            hex!("21 09 0002 0000 0100"), // HID SET_REPORT, which is also number 9
            hex!("21 0b 0000 0000 0000"), // HID SET_PROTOCOL, which is also number 11
            hex!("01 0b 0001 0000 0000"), // SET_INTERFACE of alternate 256
            hex!("00 09 0100 0000 0100"), // SET_CONFIGURATION with data
        ];
        for setup in plain {
            assert_eq!(decode(&setup), None, "{setup:02x?}");
        }
    }
}
