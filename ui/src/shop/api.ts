/** The print shop's API of a hub: its types, and one function per call. */
import { BASE, call, one } from "../api";

export type Protocol = "bambu" | "prusalink" | "moonraker" | "octoprint";

export type Printer = {
  id: string;
  name: string;
  title: string;
  protocol: Protocol;
  address: Address;
  model: string;
  location: string;
  tags: string[];
  enabled: boolean;
  bed_clear: boolean;
  settings: Settings;
  health: Health;
  /** While it is away: what it was doing last. */
  state?: PrinterState;
  job_id?: string;
  transfer?: Transfer;
  simulated: boolean;
};

export type Address = {
  host: string;
  port: number;
  files_port?: number;
  tls: boolean;
  serial_number?: string;
  user?: string;
  has_secret: boolean;
  pin?: string;
};

export type Settings = { keep_from_queue: boolean; clears_itself: boolean };

export type Link = "connecting" | "online" | "offline" | "disabled" | "elsewhere";
export type Health = {
  link: Link;
  since_us: number;
  tries: number;
  problem?: Problem;
  next_try_us?: number;
  heard_us?: number;
};

export type Reason =
  | "no_such_host"
  | "no_answer"
  | "port_closed"
  | "not_a_printer"
  | "wrong_secret"
  | "wrong_certificate"
  | "read_only"
  | "too_many_connections"
  | "busy"
  | "not_found"
  | "already_there"
  | "storage"
  | "unacceptable"
  | "unable"
  | "corrupt"
  | "garbled"
  | "lost"
  | "local";
export type Problem = { reason: Reason; message: string; hint?: string | null };

export type Transfer = {
  file_id: string;
  name: string;
  direction: "from_printer" | "to_printer";
  bytes: number;
  bytes_total?: number;
  problem?: Problem;
};

export type Phase =
  | "unknown"
  | "idle"
  | "preparing"
  | "printing"
  | "paused"
  | "finished"
  | "stopped"
  | "failed"
  | "busy"
  | "attention"
  | "error";

export type Ability =
  | "start"
  | "pause"
  | "resume"
  | "stop"
  | "light"
  | "speed"
  | "hotend_temperature"
  | "bed_temperature"
  | "chamber_temperature"
  | "skip_objects"
  | "gcode"
  | "list_files"
  | "download"
  | "upload"
  | "delete"
  | "clear";

export type Temperature = { now_c: number; target_c?: number };
export type Slot = {
  id: number;
  name: string;
  material?: string;
  product?: string;
  color?: string;
  remaining_percent?: number;
  tag?: string;
  active: boolean;
};
export type Fault = {
  severity: "fatal" | "serious" | "common" | "info";
  code: string;
  text: string;
};
export type PlateObject = { id: string; name: string; skipped: boolean };
export type Running = {
  id?: string;
  name: string;
  path?: string;
  started_us?: number;
  progress_percent?: number;
  elapsed_s?: number;
  remaining_s?: number;
  layer?: number;
  layers?: number;
  stage?: string;
  filament_mm?: number;
  objects?: PlateObject[];
};
export type Identity = {
  model?: string | null;
  name?: string | null;
  serial_number?: string | null;
  firmware?: string | null;
  nozzles_um?: number[];
};
export type PrinterState = {
  phase: Phase;
  job?: Running;
  temperatures: { hotends?: Temperature[]; bed?: Temperature; chamber?: Temperature };
  fans?: { name: string; percent: number }[];
  speed_percent?: number;
  light_on?: boolean;
  slots?: Slot[];
  faults?: Fault[];
  camera?: { source: string; problem?: string };
  abilities: Ability[];
  read_only?: string;
  identity: Identity;
  wifi_dbm?: number;
  storage_ready?: boolean;
};

export type NewPrinter = {
  title?: string;
  protocol: Protocol;
  host: string;
  port?: number;
  files_port?: number;
  tls?: boolean;
  serial_number?: string;
  user?: string;
  secret?: string;
  pin?: string;
  model?: string;
  location?: string;
  tags?: string[];
  settings?: Settings;
};

export type PrinterChange = Partial<Omit<NewPrinter, "protocol" | "pin">> & {
  forget_pin?: boolean;
  enabled?: boolean;
};

export type Probe = {
  problem: Problem | null;
  identity: Identity | null;
  pin: string | null;
  read_only: string | null;
};
export type SeenPrinter = {
  protocol: Protocol;
  host: string;
  port: number;
  serial_number: string | null;
  model: string | null;
  name: string | null;
  known: string | null;
};

export type StartPrint = {
  path: string;
  plate?: number;
  slots?: number[];
  level_bed?: boolean;
  calibrate_flow?: boolean;
  timelapse?: boolean;
};
export type StartOptions = Omit<StartPrint, "path">;
export type Heater = "bed" | "chamber" | { hotend: number };
export type Command =
  | "pause"
  | "resume"
  | "stop"
  | "clear"
  | { start: StartPrint }
  | { light: { on: boolean } }
  | { speed: { percent: number } }
  | { temperature: { heater: Heater; target_c: number } }
  | { skip_objects: { ids: string[] } }
  | { gcode: { lines: string } };

export type JobState =
  | "preparing"
  | "printing"
  | "paused"
  | "finished"
  | "cancelled"
  | "failed"
  | "unknown";
export type Job = {
  id: string;
  printer_id: string;
  printer: string;
  name: string;
  state: JobState;
  reason?: string;
  started_us: number;
  ended_us?: number;
  printed_s?: number;
  paused_s: number;
  progress_permille: number;
  layer?: number;
  layers?: number;
  filament_um?: number;
  filament_mg?: number;
  estimate_s?: number;
  known_by: "" | "seen" | "history" | "assumed";
  made_by: string;
  note: string;
  hash?: string;
};
export type JobEvent = { time_us: number; what: string; detail: string };
export type JobDetails = Job & { events: JobEvent[] };
export type JobPage = {
  jobs: Job[];
  total: number;
  counts: Partial<Record<JobState, number>>;
  next?: string;
};

export type FileState = "available" | "downloading" | "downloaded" | "local" | "error";
export type Meta = {
  slicer?: string;
  estimate_s?: number;
  layers?: number;
  layer_height_um?: number;
  materials?: string[];
  filament_um?: number[];
  filament_mg?: number[];
  printer_model?: string;
  nozzle_um?: number;
  plates?: number[];
};
export type ShopFile = {
  id: string;
  /** `library`, the id of a printer, or `folder:ID`. */
  place: string;
  path: string;
  name: string;
  bytes?: number;
  changed_us?: number;
  hash?: string;
  state: FileState;
  problem?: string;
  note: string;
  tags: string[];
  meta?: Meta;
  created_us: number;
};
export type FilePage = { files: ShopFile[]; total: number };
export type Folder = {
  id: string;
  path: string;
  recursive: boolean;
  enabled: boolean;
  problem?: string;
};

export type Targets = { printers: string[]; tags: string[] };
export type Needs = {
  model?: string | null;
  material?: string | null;
  color?: string | null;
  nozzle_um?: number | null;
};
export type RunState =
  | "claimed"
  | "uploading"
  | "starting"
  | "printing"
  | "finished"
  | "cancelled"
  | "failed";
export type QueueRun = {
  printer_id: string;
  state: RunState;
  job_id: string | null;
  problem: string | null;
  updated_us: number;
};
export type QueueItem = {
  id: string;
  hash: string;
  file_name: string;
  title: string;
  targets: Targets;
  needs: Needs;
  options: StartPrint;
  copies: number;
  done: number;
  priority: number;
  due_us?: number;
  held: boolean;
  state: "waiting" | "done" | "cancelled";
  note: string;
  made_by: string;
  created_us: number;
  runs: QueueRun[];
  waits?: Record<string, string>;
};
export type NewQueueItem = {
  file_id: string;
  title?: string;
  targets?: Targets;
  needs?: Needs;
  copies?: number;
  priority?: number;
  due_us?: number;
  held?: boolean;
  note?: string;
};
/** A `due_us` of null is none any more. */
export type QueueChange = Partial<Omit<NewQueueItem, "file_id" | "due_us">> & {
  before?: string;
  due_us?: number | null;
};

export type NoticeEvent =
  | "job_started"
  | "job_finished"
  | "job_failed"
  | "job_cancelled"
  | "job_paused"
  | "printer_offline"
  | "printer_online"
  | "printer_fault"
  | "queue_stuck";
export type ChannelKind = "webhook" | "email" | "ntfy";
export type Channel = {
  id: string;
  name: string;
  kind: ChannelKind;
  events: NoticeEvent[];
  enabled: boolean;
  shown: string;
  last_us?: number;
  last_problem?: string;
};
export type Way =
  | { webhook: { url: string; secret?: string } }
  | {
      email: {
        host: string;
        port: number;
        security: "tls" | "starttls" | "none";
        user?: string;
        password?: string;
        from: string;
        to: string;
      };
    }
  | { ntfy: { server: string; topic: string; token?: string } };
export type NewChannel = { name: string; events: NoticeEvent[]; enabled?: boolean; way?: Way };

export type Snapshot = { printers: Printer[]; count: number };
/** RFC 7386 patches by the printers' ids; `null` is a printer that is gone. */
export type Changes = { printers: Record<string, unknown>; count: number };

type Query = Record<string, string | number | string[] | null | undefined>;

/** What is set, as a query; lists as the same name several times. */
export function queryOf(query: Query): string {
  const all = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const each of value) all.append(name, each);
    else if (value !== null && value !== undefined && value !== "") all.set(name, String(value));
  }
  const text = all.toString();
  return text === "" ? "" : `?${text}`;
}

/** The shop of this hub, or of a peer through this hub. */
export class ShopApi {
  readonly #base: string;

  constructor(
    readonly hub: string,
    own: boolean,
  ) {
    this.#base = own ? "" : `/hubs/${one(hub)}/api/v1`;
  }

  get events(): string {
    return `${BASE}${this.#base}/printers/events`;
  }

  printers = () => this.#get<Printer[]>("/printers");
  seen = (seconds: number) => this.#get<SeenPrinter[]>(`/printers/seen?seconds=${seconds}`);
  /** Answers when somebody has allowed it on OctoPrint's own page. */
  askKey = (printer: NewPrinter) => this.#post<{ secret: string }>("/printers/app-key", printer);
  /** Of a printer that is here (`known`) its own secret is used where none is typed. */
  test = (printer: NewPrinter, known?: string) =>
    this.#post<Probe>(`/printers/test${queryOf({ printer: known })}`, printer);
  add = (printer: NewPrinter) => this.#post<Printer>("/printers", printer);
  change = (id: string, change: PrinterChange) =>
    call<Printer>("PATCH", `${this.#base}/printers/${one(id)}`, change);
  remove = (id: string) => this.#delete(`/printers/${one(id)}`);
  command = (id: string, command: Command) =>
    this.#post<void>(`/printers/${one(id)}/command`, { command });
  bedClear = (id: string) => this.#post<Printer>(`/printers/${one(id)}/bed-clear`, {});
  retry = (id: string) => this.#post<void>(`/printers/${one(id)}/retry`, {});
  refresh = (id: string) => this.#post<void>(`/printers/${one(id)}/files/refresh`, {});

  jobs = (query: Query) => this.#get<JobPage>(`/shop/jobs${queryOf(query)}`);
  job = (id: string) => this.#get<JobDetails>(`/shop/jobs/${one(id)}`);
  note = (id: string, note: string) =>
    call<Job>("PATCH", `${this.#base}/shop/jobs/${one(id)}`, { note });
  removeJob = (id: string) => this.#delete(`/shop/jobs/${one(id)}`);
  /** For a link: the browser saves what is there. */
  exportUrl = (query: Query) => `${BASE}${this.#base}/shop/jobs/export${queryOf(query)}`;

  files = (query: Query) => this.#get<FilePage>(`/shop/files${queryOf(query)}`);
  oldFiles = (days: number, bytes_min: number) =>
    this.#get<FilePage>(`/shop/files/old${queryOf({ days, bytes_min })}`);
  clean = (ids: string[]) =>
    this.#post<{ removed: number; bytes: number }>("/shop/files/clean", { ids });
  changeFile = (id: string, change: { tags?: string[]; note?: string }) =>
    call<ShopFile>("PATCH", `${this.#base}/shop/files/${one(id)}`, change);
  removeFile = (id: string, from_printer: boolean) =>
    this.#delete(`/shop/files/${one(id)}?from_printer=${from_printer}`);
  download = (id: string) => this.#post<ShopFile>(`/shop/files/${one(id)}/download`, {});
  cancel = (id: string) => this.#post<void>(`/shop/files/${one(id)}/cancel`, {});
  send = (id: string, body: { printer: string; start: boolean; options?: StartOptions }) =>
    this.#post<void>(`/shop/files/${one(id)}/send`, body);
  contentUrl = (id: string) => `${BASE}${this.#base}/shop/files/${one(id)}/content`;
  uploadUrl = (name: string) => `${BASE}${this.#base}/shop/files/content${queryOf({ name })}`;
  tags = () => this.#get<{ tag: string; files: number }[]>("/shop/tags");

  folders = () => this.#get<Folder[]>("/shop/folders");
  addFolder = (path: string, recursive: boolean) =>
    this.#post<Folder>("/shop/folders", { path, recursive });
  removeFolder = (id: string) => this.#delete(`/shop/folders/${one(id)}`);

  queue = (over: boolean) => this.#get<QueueItem[]>(`/shop/queue?over=${over}`);
  enqueue = (item: NewQueueItem) => this.#post<QueueItem>("/shop/queue", item);
  changeItem = (id: string, change: QueueChange) =>
    call<QueueItem>("PATCH", `${this.#base}/shop/queue/${one(id)}`, change);
  cancelItem = (id: string) => this.#delete(`/shop/queue/${one(id)}`);

  channels = () => this.#get<Channel[]>("/shop/channels");
  addChannel = (channel: NewChannel) => this.#post<Channel>("/shop/channels", channel);
  setChannel = (id: string, channel: NewChannel) =>
    call<Channel>("PUT", `${this.#base}/shop/channels/${one(id)}`, channel);
  removeChannel = (id: string) => this.#delete(`/shop/channels/${one(id)}`);
  testChannel = (id: string) => this.#post<void>(`/shop/channels/${one(id)}/test`, {});

  #get = <T>(path: string) => call<T>("GET", this.#base + path);
  #post = <T>(path: string, body: unknown) => call<T>("POST", this.#base + path, body);
  #delete = (path: string) => call<void>("DELETE", this.#base + path);
}
