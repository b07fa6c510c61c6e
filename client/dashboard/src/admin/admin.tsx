// The administrator's view: sums, who stores how much, quotas.

import { formatBytes, type Stats, type UserView } from "@jam-storage/client";
import { useStats, useStorageContext, useUsers } from "@jam-storage/react";
import { FolderOpen, Pencil } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Dialog } from "../dialog.js";
import { Failed } from "../library/empty.js";
import { usePlace } from "../place.js";
import { useNotify } from "../toast.js";

/** Bars in the chart. */
const BARS = 8;

export function Admin() {
  const users = useUsers();
  const stats = useStats();
  const failed = [users, stats].find(({ error }) => error !== null);
  if (failed?.error)
    return <Failed title="The users cannot be shown" error={failed.error} onRetry={failed.reload} />;
  return (
    <div className="admin">
      <header className="toolbar">
        <div className="toolbar-title">
          <h1>Users</h1>
          {users.value && <span className="toolbar-count">{users.value.length}</span>}
        </div>
      </header>
      {stats.value && <Sums stats={stats.value} />}
      {users.value && users.value.length > 0 && (
        <>
          <Chart users={users.value} />
          <UserTable users={users.value} />
        </>
      )}
    </div>
  );
}

function Sums({ stats }: { stats: Stats }) {
  const share = stats.totalQuota > 0 ? (100 * stats.totalUsed) / stats.totalQuota : 0;
  const sums: [string, string, string][] = [
    ["Users", stats.totalUsers.toLocaleString("en"), "with storage"],
    ["Files", stats.totalFiles.toLocaleString("en"), "outside the trash"],
    ["Stored", stats.totalUsedFormatted, `${share.toFixed(2)} % of ${stats.totalQuotaFormatted} promised`],
    ["Average", stats.avgUsedFormatted, "a user"],
  ];
  return (
    <dl className="sums">
      {sums.map(([name, value, note]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {value}
            <small>{note}</small>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Chart({ users }: { users: readonly UserView[] }) {
  const largest = [...users].sort((a, b) => bytesOf(b) - bytesOf(a)).slice(0, BARS);
  const scale = Math.max(1, ...largest.map(bytesOf));
  return (
    <figure className="chart">
      <figcaption>Who stores most</figcaption>
      <ul>
        {largest.map((user) => (
          <li key={user.id}>
            <span className="chart-name">{user.fullName}</span>
            <span className="chart-bar" aria-hidden>
              <span style={{ width: `${(100 * bytesOf(user)) / scale}%` }} />
            </span>
            <span className="chart-value">{formatBytes(bytesOf(user))}</span>
          </li>
        ))}
      </ul>
    </figure>
  );
}

const bytesOf = (user: UserView) => user.storage?.totalBytes ?? 0;

function UserTable({ users }: { users: readonly UserView[] }) {
  const [, go] = usePlace();
  const [editing, setEditing] = useState<UserView | null>(null);
  return (
    <div className="table-frame">
      <table className="users">
        <thead>
          <tr>
            <th scope="col">User</th>
            <th scope="col">Files</th>
            <th scope="col">Storage</th>
            <th scope="col">
              <span className="jam-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {users.map((user) => (
            <tr key={user.id}>
              <th scope="row">
                {user.fullName}
                {(user.email || user.id) !== user.fullName && <small>{user.email || user.id}</small>}
              </th>
              <td>{(user.storage?.fileCount ?? 0).toLocaleString("en")}</td>
              <td>
                <Share user={user} />
              </td>
              <td className="users-actions">
                <button
                  type="button"
                  className="jam-button"
                  onClick={() => go({ view: "admin", user: user.id })}
                >
                  <FolderOpen aria-hidden size={16} /> <span className="users-action-word">Files</span>
                  <span className="jam-hidden"> of {user.fullName}</span>
                </button>
                <button type="button" className="jam-button" onClick={() => setEditing(user)}>
                  <Pencil aria-hidden size={16} /> <span className="users-action-word">Quota</span>
                  <span className="jam-hidden"> of {user.fullName}</span>
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {editing && <QuotaDialog user={editing} onClose={() => setEditing(null)} />}
    </div>
  );
}

function Share({ user }: { user: UserView }) {
  if (user.storage === null) return <span className="muted">Nothing stored</span>;
  const { totalBytes, maxBytes } = user.storage;
  const percent = Math.min(100, (100 * totalBytes) / Math.max(1, maxBytes));
  return (
    <div className="share">
      <progress
        className="jam-progress"
        max={100}
        value={percent}
        aria-label={`Storage of ${user.fullName}`}
      />
      <span>
        {formatBytes(totalBytes)} of {formatBytes(maxBytes)}
      </span>
    </div>
  );
}

const GIB = 1024 ** 3;

function QuotaDialog({ user, onClose }: { user: UserView; onClose: () => void }) {
  const { client, queries } = useStorageContext();
  const notify = useNotify();
  const [gigabytes, setGigabytes] = useState(String((user.storage?.maxBytes ?? 10 * GIB) / GIB));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onClose();
    client.setQuota(user.id, Math.round(Number(gigabytes) * GIB)).then((storage) => {
      notify.say(`${user.fullName} may store ${storage.maxFormatted}.`);
      void queries.invalidateQueries();
    }, notify.fail);
  };
  return (
    <Dialog title={`Quota of ${user.fullName}`} onClose={onClose}>
      <form onSubmit={submit} className="stack">
        <div className="jam-field">
          <label htmlFor="quota">Gigabytes</label>
          <input
            id="quota"
            className="jam-input"
            type="number"
            min={0}
            step="any"
            required
            value={gigabytes}
            onChange={(event) => setGigabytes(event.target.value)}
          />
        </div>
        <p className="muted">Less than what is stored is allowed: then nothing more can be uploaded.</p>
        <button type="submit" className="jam-button" data-kind="primary">
          Save
        </button>
      </form>
    </Dialog>
  );
}
