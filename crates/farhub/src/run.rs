//! Which command does what.

use crate::cli::{Cli, Command, Global, Shell};
use crate::client::Client;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::{
    attach, audit, backup, bench, cli, console, data, devices, doctor, grants, import, invite,
    jobs, machines, nearby, pair, paths, peers, printers, relay, requests, restore, service, up,
    web_login,
};

pub(crate) async fn run(cli: Cli) -> Result<(), Error> {
    let Cli { global, command } = cli;
    let out = Out { json: global.json };
    let client = Client::new(&global);
    match command {
        Command::Up(typed) => {
            here(&global, "up")?;
            let folder = data::of_hub(global.data.as_deref());
            let config = Config::load(global.config.as_deref(), &folder)?;
            let settings = global.config.clone().unwrap_or_else(|| data::config(&folder));
            let args = up::Args::new(typed, config, folder, global.json);
            up::up(up::Args { settings: Some(settings), ..args }).await
        }
        Command::Devices(args) if args.watch => devices::watch(&client, out).await,
        Command::Devices(_) => devices::list(&client, out).await,
        Command::Share(args) => devices::share(&client, out, args).await,
        Command::Unshare { device } => devices::unshare(&client, out, &device).await,
        Command::Invite(args) => invite::invite(&client, out, args).await,
        Command::Nearby(args) if args.watch => nearby::watch(&client, out).await,
        Command::Nearby(_) => nearby::list(&client, out).await,
        Command::Pair(args) => pair::pair(&client, out, args).await,
        Command::Peers(args) => match args.action {
            None => peers::list(&client, out).await,
            Some(cli::PeersAction::Remove { peer }) => peers::remove(&client, &peer).await,
            Some(cli::PeersAction::AddAddress { peer, at }) => {
                peers::add_address(&client, out, &peer, &at).await
            }
            Some(cli::PeersAction::RemoveAddress { peer, at }) => {
                peers::remove_address(&client, out, &peer, &at).await
            }
        },
        Command::Path(args) if args.watch => paths::watch(&client, out, &args.peer).await,
        Command::Path(args) => paths::once(&client, out, &args.peer).await,
        Command::Bench { peer } => bench::bench(&client, out, &peer).await,
        Command::Trust(args) => peers::trust(&client, out, args).await,
        Command::Grant(args) => grants::grant(&client, out, args).await,
        Command::Revoke(args) => grants::revoke(&client, out, args).await,
        Command::Request(args) => requests::request(&client, out, args).await,
        Command::Requests => requests::list(&client, out).await,
        Command::Accept(args) => requests::accept(&client, args).await,
        Command::Deny { number } => requests::deny(&client, number).await,
        Command::Handover(args) => requests::hand_over(&client, out, args).await,
        Command::Import(what) => import::import(&client, out, what).await,
        Command::Audit(args) => audit::audit(&client, out, args).await,
        Command::Attach(args) => attach::attach(&client, out, args).await,
        Command::Detach(args) => attach::detach(&client, args).await,
        Command::Attached => attach::list(&client, out).await,
        Command::Stop(args) => machines::stop(&client, out, args).await,
        Command::Run(args) => jobs::run(&client, out, args).await,
        Command::Job(action) => jobs::job(&client, out, action).await,
        Command::Console(args) => console::console(&client, out, args).await,
        Command::Machine(action) => machines::machine(&client, out, action).await,
        Command::Printer(action) => printers::printer(&client, out, action).await,
        Command::Backup(args) => {
            here(&global, "backup")?;
            backup::backup(&client, out, args).await
        }
        Command::Restore(args) => {
            here(&global, "restore")?;
            let folder = data::of_hub(global.data.as_deref());
            restore::restore(out, &args, &folder, global.config.as_deref()).await
        }
        Command::Web(action) => {
            here(&global, "web")?;
            let folder = data::of_client(global.data.as_deref());
            web_login::web(&client, out, action, &folder).await
        }
        Command::Doctor(args) => {
            here(&global, "doctor")?;
            let folder = data::of_client(global.data.as_deref());
            let config = Config::load(global.config.as_deref(), &folder);
            doctor::doctor(&client, out, args.root, &folder, config).await
        }
        Command::Relay(typed) => {
            here(&global, "relay")?;
            let folder = data::of_hub(global.data.as_deref());
            relay::relay(*typed, global.config.as_deref(), folder, out).await
        }
        Command::Service(action) => {
            here(&global, "service")?;
            service::service(action, out)
        }
        Command::Helper(_) | Command::Guard => {
            unreachable!("main starts them without a runtime")
        }
        Command::Completions { shell } => completions(shell),
    }
}

/// Some commands are about this computer only.
fn here(global: &Global, command: &str) -> Result<(), Error> {
    match &global.hub {
        None => Ok(()),
        Some(hub) => Err(Error::new(
            Exit::Usage,
            format!("farhub {command} is about this computer: --hub {hub} does not go with it"),
        )),
    }
}

fn completions(shell: Shell) -> Result<(), Error> {
    use clap::CommandFactory;
    use clap_complete::aot;
    let mut script = Vec::new();
    let mut command = Cli::command();
    match shell {
        Shell::Bash => aot::generate(aot::Bash, &mut command, "farhub", &mut script),
        Shell::Zsh => aot::generate(aot::Zsh, &mut command, "farhub", &mut script),
        Shell::Fish => aot::generate(aot::Fish, &mut command, "farhub", &mut script),
    }
    Ok(std::io::Write::write_all(&mut std::io::stdout(), &script)?)
}
