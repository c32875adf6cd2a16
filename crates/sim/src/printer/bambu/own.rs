//! What a Bambu printer knows beside what every printer knows: who asked for a print and under
//! which numbers, its trays, its habits.

use std::collections::BTreeSet;

use super::model::{DataChannel, Model, Unit};

#[derive(Debug)]
pub(super) struct Own {
    pub data: DataChannel,
    /// Folders that exist without files, without a slash before or after.
    pub folders: BTreeSet<String>,
    pub order: Option<Order>,
    pub records: bool,
    pub timelapse: bool,
    pub work_light_on: bool,
    pub trays: [Option<Tray>; 4],
    pub external: Tray,
    /// Somebody has dismissed the error of the last print, of that number.
    pub dismissed: Option<u32>,
}

/// A print as it was asked for.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// Of the print that it became, in the engine.
    pub print: u32,
    pub name: String,
    pub gcode_file: String,
    pub task_id: String,
    pub subtask_id: String,
    pub project_id: String,
    pub profile_id: String,
    /// The slot that feeds it; 254 is the external spool.
    pub slot: u16,
    pub skipped: Vec<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct Tray {
    pub material: String,
    /// RRGGBBAA.
    pub color: String,
    pub product: String,
    pub info_idx: String,
    pub remain_percent: i64,
    /// Of a spool of the maker; zeros for others.
    pub uuid: String,
    pub nozzle_c: (u16, u16),
}

impl Own {
    pub(super) fn new(model: &Model) -> Self {
        let trays = match model.unit {
            Unit::None => [const { None }; 4],
            Unit::Ams => [
                Some(Tray::new("PLA", "F72323FF", "PLA Basic", "GFA00").of_maker(93, 1)),
                Some(Tray::new("PLA", "000000FF", "PLA Matte", "GFA01").of_maker(41, 2)),
                Some(Tray::new("PETG", "FFFFFFFF", "", "GFG99")),
                None,
            ],
        };
        Self {
            data: model.data,
            folders: FOLDERS.iter().map(|name| (*name).to_owned()).collect(),
            order: None,
            records: true,
            timelapse: false,
            work_light_on: true,
            trays,
            external: Tray::new("PLA", "76D9F4FF", "", "GFL99"),
            dismissed: None,
        }
    }

    /// By global number: 0 to 3 of the unit, 254 outside.
    pub(super) fn tray_mut(&mut self, slot: u16) -> Option<&mut Tray> {
        if slot == EXTERNAL {
            return Some(&mut self.external);
        }
        self.trays.get_mut(usize::from(slot))?.as_mut()
    }
}

impl Tray {
    fn new(material: &str, color: &str, product: &str, info_idx: &str) -> Self {
        Self {
            material: material.into(),
            color: color.into(),
            product: product.into(),
            info_idx: info_idx.into(),
            remain_percent: -1,
            uuid: "0".repeat(32),
            nozzle_c: if material == "PETG" { (230, 270) } else { (190, 240) },
        }
    }

    fn of_maker(mut self, remain_percent: i64, number: u8) -> Self {
        self.remain_percent = remain_percent;
        self.uuid = format!("5F3D8925633343C29FB9A97FA91259{number:02X}");
        self
    }
}

/// The external spool.
pub(super) const EXTERNAL: u16 = 254;
/// What a printer makes on an empty card.
const FOLDERS: [&str; 4] = ["cache", "image", "logger", "timelapse"];
