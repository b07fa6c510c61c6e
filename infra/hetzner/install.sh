#!/usr/bin/env bash
# Makes a Debian or Ubuntu server serve Jam Storage, or brings it to another release. Safe to repeat.
#
#   install.sh [--domain NAME] [--environment FILE] [--volume-device DEVICE | --allow-root-disk]
#              [--binaries DIRECTORY] [--accel on|off]
#   install.sh rollback [RELEASE]     back to the release before, or to a named one
#   install.sh status
#
# --domain           the service's name; needed the first time.
# --environment      lines NAME=value that go into /etc/jam-storage/env; the first time at least CLERK_PUBLISHABLE_KEY,
#                    JAM_AUTHORIZED_PARTIES and CORS_ORIGIN. With DATABASE_URL an external PostgreSQL is used, otherwise
#                    one is installed here.
# --volume-device    ext4 on a block device, mounted at /mnt/user-storage; without it something must be mounted there.
# --allow-root-disk  keep the files on the server's own disk: for a trial.
# --binaries         where jam-upload and the others are; default: bin beside this directory, else target/release.
# --accel            whether nginx sends the bytes itself (on, the first time); files are then readable for its group.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
releases=/opt/jam-storage/releases
current=/opt/jam-storage/current
settings=/etc/jam-storage/env
mount_point=/mnt/user-storage
kept_releases=5
health_seconds=30

say() { echo "install: $*"; }
die() { echo "install: $*" >&2; exit 1; }

functions_of() { sed -n 's/^upstream jam_\([a-z]*\) .*/\1/p' "$1/nginx/routes.conf"; }

installed_domain() {
    sed -n 's/^ *server_name \(.*\);/\1/p' /etc/nginx/conf.d/jam-storage.conf 2>/dev/null | head -n 1 || true
}

setting() { sed -n "s/^$1=//p" "$settings"; }

set_setting() {
    local changed
    changed=$(mktemp "$settings.XXXXXX")
    { grep -v "^$1=" "$settings" || true; printf '%s=%s\n' "$1" "$2"; } >"$changed"
    mv "$changed" "$settings"
}

default_setting() { [ -n "$(setting "$1")" ] || set_setting "$1" "$2"; }

install_packages() {
    local wanted=(nginx-light ffmpeg openssl curl rsync postgresql-client)
    [ -n "$(setting DATABASE_URL)" ] || wanted+=(postgresql)
    local missing=() package
    for package in "${wanted[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet --quiet
    apt-get install --yes --quiet --quiet --no-install-recommends "${missing[@]}"
}

# The service; who owns its tables; who makes backups. None of them can do what the others can.
users=(jam jam-owner jam-backup)

make_users() {
    local user
    for user in "${users[@]}"; do
        getent passwd "$user" >/dev/null ||
            useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin "$user"
    done
    # nginx connects to the functions' sockets, and reads files where it sends them.
    usermod --append --groups jam www-data
}

take_settings() {
    install -d -m 700 /etc/jam-storage
    [ -e "$settings" ] || install -m 600 /dev/null "$settings"
    local line
    if [ -n "$environment" ]; then
        while IFS= read -r line; do
            case $line in '' | '#'*) ;; *=*) set_setting "${line%%=*}" "${line#*=}" ;; *) die "no setting: $line" ;; esac
        done <"$environment"
    fi
}

complete_settings() {
    default_setting DATABASE_URL 'postgres:///jam?host=/var/run/postgresql&user=jam'
    default_setting USER_STORAGE_ROOT "$mount_point/users"
    default_setting APP_ENV production
    default_setting JAM_TRUSTED_PROXIES unix
    default_setting JAM_URL_KEYS "k1:$(openssl rand -base64 48)"
    default_setting PUBLIC_BASE_URL "https://$domain"
    case $accel in
        on) set_setting JAM_ACCEL nginx ;;
        off) set_setting JAM_ACCEL '' ;;
        *) grep -q '^JAM_ACCEL=' "$settings" || set_setting JAM_ACCEL nginx ;;
    esac
    chmod 600 "$settings"
}

mount_volume() {
    install -d -m 755 "$mount_point"
    if [ -n "$device" ]; then
        local unit
        unit=$(systemd-escape --path --suffix=mount "$mount_point")
        sed "s|@DEVICE@|$device|" "$here/systemd/mnt-user-storage.mount.in" >"/etc/systemd/system/$unit"
        systemctl daemon-reload
        systemctl enable --now "$unit"
    fi
    mountpoint -q "$mount_point" || [ -n "$allow_root_disk" ] || [ -e "$(setting USER_STORAGE_ROOT)/.jam-volume" ] ||
        die "nothing is mounted at $mount_point: give --volume-device, or --allow-root-disk for a trial"
    # Only directories of the service's own user may be below, so that it can make its root.
    chown jam:jam "$mount_point"
    chmod 711 "$mount_point"
}

make_database() {
    [ "$(setting DATABASE_URL)" = 'postgres:///jam?host=/var/run/postgresql&user=jam' ] || return 0
    systemctl start postgresql
    local role sql
    # Role and system user have the same name, so PostgreSQL needs no password ("peer" in pg_hba.conf).
    for role in "${users[@]}"; do
        sql="SELECT 1 FROM pg_roles WHERE rolname = '$role'"
        runuser -u postgres -- psql -XAtqc "$sql" | grep -q 1 || runuser -u postgres -- createuser "$role"
    done
    sql="SELECT 1 FROM pg_database WHERE datname = 'jam'"
    runuser -u postgres -- psql -XAtqc "$sql" | grep -q 1 || runuser -u postgres -- createdb --owner=jam-owner jam
    # In one transaction, because an installation whose service owned its tables goes on serving.
    {
        cat <<'SQL'
REASSIGN OWNED BY jam TO "jam-owner";
ALTER DATABASE jam OWNER TO "jam-owner";
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO "jam-owner";
SQL
        cat "$here/grants.sql"
    } | runuser -u postgres -- psql -XAtq --set=ON_ERROR_STOP=1 --single-transaction --dbname=jam >/dev/null
    write_settings owner jam-owner
    write_settings reader jam-backup
}

# How a user other than the service reaches the database.
write_settings() {
    install -m 600 /dev/null "/etc/jam-storage/$1"
    echo "DATABASE_URL=postgres:///jam?host=/var/run/postgresql&user=$2" >"/etc/jam-storage/$1"
}

# Lays the release down under a name that its content decides, and says the name.
lay_down_release() {
    local programs digest version release
    mapfile -t programs < <(printf 'jam-%s\n' admin worker; functions_of "$here" | sed 's/^/jam-/')
    [ -x "$binaries/jam-admin" ] || die "$binaries has no jam-admin: give --binaries"
    digest=$({ (cd "$here" && find . -type f -exec sha256sum {} +); (cd "$binaries" && sha256sum "${programs[@]}"); } |
        sort | sha256sum | cut -c 1-12)
    version=$("$binaries/jam-admin" --version | cut -d ' ' -f 2)
    release=$releases/$version-$digest
    if [ ! -d "$release" ]; then
        rm -rf "$release.new"
        install -d "$release.new/bin" "$release.new/hetzner"
        (cd "$binaries" && install -m 755 "${programs[@]}" "$release.new/bin/")
        install -m 755 "$here/jam-storage-backup" "$release.new/bin/"
        cp -R "$here/." "$release.new/hetzner/"
        sync --file-system "$release.new"
        mv "$release.new" "$release"
    fi
    # The newest is the one that was installed last, whatever its version.
    touch "$release"
    echo "$release"
}

install_commands() {
    install -m 755 "$1/as-service" /usr/local/sbin/jam-admin
    install -m 755 "$1/as-service" /usr/local/sbin/jam-storage-backup
}

install_units() {
    local release=$1 unit
    for unit in "$release"/hetzner/systemd/jam-storage*; do
        cp -R "$unit" /etc/systemd/system/
    done
    systemctl daemon-reload
    local journal=/etc/systemd/journald.conf.d/jam-storage.conf
    if ! cmp -s "$release/hetzner/systemd/journald.conf" "$journal"; then
        install -D -m 644 "$release/hetzner/systemd/journald.conf" "$journal"
        systemctl try-restart systemd-journald.service
    fi
}

install_nginx() {
    local release=$1 root user
    root=$(setting USER_STORAGE_ROOT)
    make_certificate
    share_files "$release"
    install -d -m 755 /etc/nginx/jam-storage /var/www/jam-storage
    cp "$release"/hetzner/nginx/*.conf /etc/nginx/jam-storage/
    sed "s|@STORAGE_ROOT@|$root|g" "$release/hetzner/nginx/service.conf.in" >/etc/nginx/jam-storage/service.conf
    sed "s|@DOMAIN@|$domain|g" "$release/hetzner/nginx/site.conf.in" >/etc/nginx/conf.d/jam-storage.conf
    user=www-data
    # A release from before files could be read by nginx's group.
    [ "$(setting JAM_ACCEL)" != nginx ] || [ -e "$release/hetzner/grants.sql" ] || user=jam
    sed -i "s/^user .*;/user $user;/" /etc/nginx/nginx.conf
    nginx -t -q
    systemctl enable --quiet nginx
    systemctl reload-or-restart nginx
}

# The storage root's mode says whether nginx may read what is below, as a member of the service's group; the service
# looks at it when it starts, and everything new is made so.
share_root() {
    local mode=u=rwx,go=,g-s
    [ "$(setting JAM_ACCEL)" != nginx ] || mode=u=rwx,g=rxs,o=
    # In one step, because nginx reads meanwhile; in letters, because a number would leave the mark on a directory.
    chmod "$mode" "$(setting USER_STORAGE_ROOT)"
}

# What was there before. Only what differs is touched.
share_files() {
    local root files=600 directories=700 mode=u=rwx,go=,g-s
    root=$(setting USER_STORAGE_ROOT)
    if [ "$(setting JAM_ACCEL)" = nginx ] && [ -e "$1/hetzner/grants.sql" ]; then
        files=640
        directories=2750
        mode=u=rwx,g=rxs,o=
    fi
    find "$root" -mindepth 1 -type d ! -perm "$directories" -exec chmod "$mode" {} +
    find "$root" -type f ! -perm "$files" -exec chmod "$files" {} +
}

# Good enough until a real one is put in its place (README.md).
make_certificate() {
    [ ! -e /etc/jam-storage/tls/key.pem ] || return 0
    install -d -m 700 /etc/jam-storage/tls
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$domain" \
        -addext "subjectAltName=DNS:$domain" -keyout /etc/jam-storage/tls/key.pem \
        -out /etc/jam-storage/tls/certificate.pem 2>/dev/null
    chmod 600 /etc/jam-storage/tls/key.pem
    say "made a self-signed certificate for $domain: replace /etc/jam-storage/tls/{certificate,key}.pem"
}

# One function after the other. Their sockets stay open, so connections wait and none is refused.
restart_services() {
    local release=$1 function
    for function in $(functions_of "$release/hetzner"); do
        systemctl enable --quiet --now "jam-storage@$function.socket"
        systemctl enable --quiet "jam-storage@$function.service"
        systemctl restart "jam-storage@$function.service"
        await_health "$function" "/run/jam-storage/$function.sock" || return 1
    done
    systemctl enable --quiet jam-storage-worker.service
    systemctl restart jam-storage-worker.service
    await_health worker /run/jam-storage/worker/worker.sock || return 1
    systemctl enable --quiet --now jam-storage.target jam-storage-backup.timer jam-storage-check.timer
}

await_health() {
    local deadline=$((SECONDS + health_seconds))
    until curl --silent --fail --max-time 5 --output /dev/null --unix-socket "$2" http://localhost/health; do
        if [ $SECONDS -gt $deadline ]; then
            echo "install: jam-$1 is not healthy; journalctl -u 'jam-storage*' says why" >&2
            return 1
        fi
        sleep 0.2
    done
}

point_to() { ln -sfn "$1" "$current.new" && mv -T "$current.new" "$current"; }

# Everything that a change of release touches, in an order in which each step works with the old and the new one.
activate() {
    local release=$1
    point_to "$release"
    install_commands "$release/hetzner"
    install_units "$release"
    share_root
    restart_services "$release" || return 1
    install_nginx "$release"
}

remove_old_releases() {
    local old
    find "$releases" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' | sort -rn | cut -d ' ' -f 2- |
        tail -n "+$((kept_releases + 1))" | while read -r old; do
        [ "$old" = "$(readlink "$current")" ] || rm -rf "$old"
    done
}

install_release() {
    local before release
    take_settings
    install_packages
    make_users
    complete_settings
    mount_volume
    make_database
    before=$(readlink "$current" 2>/dev/null || true)
    release=$(lay_down_release)
    [ -n "$before" ] || point_to "$release"
    install_commands "$here"
    # A setting that the new release does not take ends here. Migrations are such that the release before works on with
    # them, so they come first.
    RELEASE=$release jam-admin config >/dev/null
    RELEASE=$release jam-admin migrate
    RELEASE=$release jam-admin init-volume
    if ! activate "$release"; then
        [ -n "$before" ] && [ "$before" != "$release" ] || exit 1
        say "going back to $before"
        activate "$before"
        exit 1
    fi
    remove_old_releases
    say "$(basename "$release") is serving https://$domain"
}

rollback() {
    local target=${1:+$releases/$1}
    target=${target:-$(find "$releases" -mindepth 1 -maxdepth 1 -type d ! -path "$(readlink "$current")" \
        -printf '%T@ %p\n' | sort -rn | head -n 1 | cut -d ' ' -f 2-)}
    [ -d "$target" ] || die "there is no such release; $releases has: $(ls "$releases")"
    domain=$(installed_domain)
    activate "$target"
    say "$(basename "$target") is serving again"
}

status() {
    say "release $(basename "$(readlink "$current")")"
    local function failed=0
    health_seconds=0
    for function in $(functions_of "$current/hetzner"); do
        await_health "$function" "/run/jam-storage/$function.sock" && say "$function is healthy" || failed=1
    done
    await_health worker /run/jam-storage/worker/worker.sock && say "worker is healthy" || failed=1
    return $failed
}

domain='' environment='' device='' allow_root_disk='' accel='' binaries=''
[ "$(id -u)" = 0 ] || die "must be run as root"
case ${1:-} in
    rollback) rollback "${2:-}"; exit ;;
    status) status; exit ;;
esac
while [ $# -gt 0 ]; do
    case $1 in
        --domain) domain=$2; shift 2 ;;
        --environment) environment=$2; shift 2 ;;
        --volume-device) device=$2; shift 2 ;;
        --allow-root-disk) allow_root_disk=1; shift ;;
        --binaries) binaries=$2; shift 2 ;;
        --accel) accel=$2; shift 2 ;;
        *) die "unknown option $1; the head of $0 lists them" ;;
    esac
done
domain=${domain:-$(installed_domain)}
[ -n "$domain" ] || die "--domain is needed the first time"
[[ $accel =~ ^(on|off|)$ ]] || die "--accel is on or off"
if [ -z "$binaries" ]; then
    binaries=$here/../bin
    [ -d "$binaries" ] || binaries=$here/../../target/release
fi
install_release
