//! Taking over what another program has, for those who manage this hub.

use crate::Hub;
use crate::core::Caller;
use crate::management::Result;
use fleet::import::{Keep, Report};
use std::path::Path;

impl Hub {
    /// Takes over a database of Printernizer, a file of this computer; or says what that would do.
    ///
    /// # Errors
    /// When the caller may not, the file cannot be read or is none, or the database fails.
    pub async fn import_printernizer(
        &self,
        caller: Caller,
        file: &Path,
        keep: Keep,
    ) -> Result<Report> {
        let what = file.display().to_string();
        let fleet = self.shop_for(caller, "import.printernizer", &what).await?;
        if !file.is_absolute() {
            let message = format!("say where {what} is: a whole path, from / on");
            return Err(fleet::Error::Unacceptable(message).into());
        }
        let (hub, file) = (self.clone(), file.to_owned());
        let import = async move {
            let fleet = hub.fleet();
            let plan = fleet.read_printernizer(&file).await?;
            let shared = &hub.0.shared;
            let is_taken = |name: &wire::Name| {
                shared.look(|core| core.devices.values().any(|local| local.name == *name))
            };
            fleet.import(plan, keep, is_taken).await
        };
        Ok(fleet.go_on(import).await?)
    }
}
