//! Network adapters that speak a protocol of their maker's own, and whose descriptors therefore
//! do not say what they are: their one interface is "vendor specific".
//!
//! Source: the tables of Linux' drivers (`drivers/net/usb`: ax88179_178a, asix, r8152, rtl8150,
//! aqc111, smsc75xx, smsc95xx, lan78xx, dm9601, mcs7830, sr9700, sr9800, pegasus; and
//! `drivers/net/wireless`: rtl8xxxu, rtw88, rt2x00, mt76, ath9k_htc, carl9170). Makers sell the
//! same chips under ids of their own, so no such list is complete; it has the chips' own ids and
//! the common brands.

use std::ops::RangeInclusive;

/// Vendor, and its products from the first to the last.
type Adapters = (u16, RangeInclusive<u16>);

const ADAPTERS: &[Adapters] = &[
    // ASIX makes nothing but network adapters (and a serial chip, 7830)
    (0x0b95, 0x1720..=0x2790),
    (0x0b95, 0x7720..=0x772b),
    (0x0b95, 0x7e2b..=0x7e2b),
    // Realtek, wired and wireless; its card readers and radios (2832, 2838) lie below
    (0x0bda, 0x8050..=0x8053),
    (0x0bda, 0x8150..=0x8fff),
    (0x0bda, 0xa811..=0xa85b),
    (0x0bda, 0xb711..=0xb85b),
    (0x0bda, 0xc811..=0xc85b),
    (0x0bda, 0xf179..=0xf179),
    // Microchip, once SMSC
    (0x0424, 0x7500..=0x7505),
    (0x0424, 0x7800..=0x7850),
    (0x0424, 0x9500..=0x9909),
    (0x0424, 0xec00..=0xec00),
    (0x2eca, 0xc101..=0xc101), // Aquantia
    (0x1c04, 0x0015..=0x0015), // QNAP
    (0x20f4, 0xe02c..=0xe05a), // TRENDnet
    (0x0a46, 0x0268..=0x9621), // Davicom
    (0x9710, 0x7730..=0x7832), // MosChip
    (0x0fe6, 0x9700..=0x9800), // CoreChip
    (0x0db0, 0xa877..=0xa877), // MSI
    (0x045e, 0x07ab..=0x07ab), // Microsoft
    (0x045e, 0x07c6..=0x07c6),
    (0x045e, 0x0927..=0x0927),
    (0x045e, 0x0c5e..=0x0c5e),
    (0x04e8, 0xa101..=0xa101), // Samsung
    (0x0930, 0x0a13..=0x0a13), // Toshiba
    (0x0955, 0x09ff..=0x09ff), // Nvidia
    (0x050d, 0x0128..=0x0128), // Belkin
    (0x050d, 0x5055..=0x5055),
    (0x05ac, 0x1402..=0x1402), // Apple
    (0x0711, 0x0179..=0x0179), // MCT
    (0x07d1, 0x3c05..=0x3c05), // D-Link
    (0x0846, 0x1040..=0x1040), // Netgear
    (0x0df6, 0x0056..=0x0072), // Sitecom
    (0x13b1, 0x0018..=0x0041), // Linksys
    (0x17ef, 0x304b..=0x304f), // Lenovo
    (0x17ef, 0x3062..=0x3069),
    (0x17ef, 0x3082..=0x3098),
    (0x17ef, 0x7203..=0x7214),
    (0x17ef, 0x720a..=0x721e),
    (0x17ef, 0xa359..=0xa387),
    (0x2001, 0x1a00..=0x4a00), // D-Link
    (0x2001, 0xb301..=0xb301),
    (0x2357, 0x0100..=0x0602), // TP-Link
    // wireless chips
    (0x148f, 0x2070..=0x9021), // Ralink
    (0x0e8d, 0x7601..=0x7663), // MediaTek
    (0x0e8d, 0x7902..=0x7961),
    (0x0cf3, 0x1001..=0x9378), // Atheros
];

/// Whether this product is known to be a network adapter.
pub(crate) fn is_adapter(vendor_id: u16, product_id: u16) -> bool {
    ADAPTERS.iter().any(|(vendor, products)| *vendor == vendor_id && products.contains(&product_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_of_their_makers_own_protocols_are_known() {
        for (vendor, product) in [
            (0x0b95, 0x1790),
            (0x0bda, 0x8153),
            (0x0bda, 0x8156),
            (0x17ef, 0x7205),
            (0x2357, 0x0601),
        ] {
            assert!(is_adapter(vendor, product), "{vendor:04x}:{product:04x}");
        }
        // a radio and a card reader of Realtek, serial adapters
        for (vendor, product) in [
            (0x0bda, 0x2838),
            (0x0bda, 0x0129),
            (0x0403, 0x6001),
            (0x1a86, 0x7523),
            (0x10c4, 0xea60),
        ] {
            assert!(!is_adapter(vendor, product), "{vendor:04x}:{product:04x}");
        }
    }
}
