import type { Command } from 'commander'

/** The flags that say what kind of server it is. */
export function withServerOptions(command: Command): Command {
  return command
    .option('--host <address>', 'address to listen on [E2B_SERVER_HOST] (default: 127.0.0.1)')
    .option(
      '--port <port>',
      'port for API and sandbox traffic [E2B_SERVER_PORT] (default: 3000; 443 with TLS)',
    )
    .option('--domain <name>', 'domain of all names: api.<name>, <port>-<id>.<name> [E2B_SERVER_DOMAIN]')
    .option('--tls', 'serve HTTPS, by default with a certificate of a local authority [E2B_SERVER_TLS]')
    .option('--tls-cert <file>', 'certificate for *.<domain> to use instead, PEM [E2B_SERVER_TLS_CERT]')
    .option('--tls-key <file>', 'its key, PEM [E2B_SERVER_TLS_KEY]')
    .option('--dns <address>', 'answer DNS queries for *.<domain> here, as 127.0.0.1:53 [E2B_SERVER_DNS]')
    .option(
      '--max-connections <number>',
      'requests and upgrades that a sandbox may have at once in each data worker [E2B_SERVER_MAX_CONNECTIONS] (default: from the limit of open files)',
    )
    .option(
      '--data-workers <number>',
      'processes that take in the traffic of sandboxes [E2B_SERVER_DATA_WORKERS] (default: one for each CPU)',
    )
    .option(
      '--egress-allow <cidr>',
      'private range that sandboxes may reach, once or more; closed without it [E2B_SERVER_EGRESS_ALLOW]',
      joined,
    )
    .option(
      '--open-egress',
      'let sandboxes reach whatever this machine does, without rules [E2B_SERVER_OPEN_EGRESS]',
    )
    .option(
      '--webhook-allow <cidr>',
      'private range that webhooks may be sent to, once or more [E2B_SERVER_WEBHOOK_ALLOW]',
      joined,
    )
    .option(
      '--registry-mirror <host>',
      'registry to ask for images of Docker Hub instead, as host[:port][/prefix] [E2B_SERVER_REGISTRY_MIRROR]',
    )
    .option(
      '--registry-allow <cidr>',
      'private range whose registries are asked for images, once or more; closed without it [E2B_SERVER_REGISTRY_ALLOW]',
      joined,
    )
    .option(
      '--images-from-engine',
      'let templates of every team begin with images of this machine’s Docker engine; native runtime [E2B_SERVER_IMAGES_FROM_ENGINE]',
    )
    .option('--offline', 'ask no registry for images: those that are here have to do [E2B_SERVER_OFFLINE]')
    .option(
      '--build-env <name[=value]>',
      'variable for the commands of builds alone, once or more; without a value: the server’s own [E2B_SERVER_BUILD_ENV]',
      joinedLines,
    )
    .option(
      '--sandbox-ca <file>',
      'more certificate authorities for sandboxes to trust, PEM [E2B_SERVER_SANDBOX_CA]',
    )
    .option(
      '--debug-port <port>',
      'port for E2B_DEBUG=true programs, 0 for none [E2B_SERVER_DEBUG_PORT] (default: 49983)',
    )
    .option(
      '--runtime <name>',
      'auto, native, docker, gvisor or process [E2B_SERVER_RUNTIME] (default: auto)',
    )
    .option(
      '--user <name>',
      'run as that user, beside a helper that stays root’s; native runtime, as root [E2B_SERVER_USER]',
    )
    .option(
      '--host-root <dir>',
      'directory of a helper of the native runtime that is started by others [E2B_SERVER_HOST_ROOT] (default: the server starts its own as root)',
    )
    .option('--docker-transport <kind>', 'auto, unix or tcp [E2B_SERVER_DOCKER_TRANSPORT] (default: auto)')
    .option(
      '--api-key-file <path>',
      'file with the key to accept, instead of a generated one; or E2B_SERVER_API_KEY',
    )
    .option('--log-level <level>', 'debug, info, warn or error [E2B_SERVER_LOG_LEVEL] (default: info)')
    .option(
      '--log-format <format>',
      'auto (readable on a terminal), pretty or json [E2B_SERVER_LOG_FORMAT] (default: auto)',
    )
    .option(
      '--admin-token-file <path>',
      'file with the operator’s token, instead of a generated one; or E2B_SERVER_ADMIN_TOKEN',
    )
    .option('--limit-sandboxes <n>', 'sandboxes of a team that run at once [E2B_SERVER_LIMIT_SANDBOXES]')
    .option('--limit-vcpu <n>', 'vCPU of a team’s running sandboxes together [E2B_SERVER_LIMIT_VCPU]')
    .option(
      '--limit-memory-mb <n>',
      'memory of a team’s running sandboxes together, in MiB [E2B_SERVER_LIMIT_MEMORY_MB]',
    )
    .option(
      '--limit-creates-per-second <n>',
      'how fast a team may create sandboxes [E2B_SERVER_LIMIT_CREATES_PER_SECOND]',
    )
    .option('--max-lifetime-hours <n>', 'longest life of a sandbox [E2B_SERVER_MAX_LIFETIME_HOURS]')
    .option(
      '--max-starting <n>',
      'sandboxes that start at once [E2B_SERVER_MAX_STARTING] (default: two for each CPU, at least 4)',
    )
    .option(
      '--start-wait <seconds>',
      'how long a start may wait for its turn [E2B_SERVER_START_WAIT] (default: 50)',
    )
    .option(
      '--min-free-memory-mb <n>',
      'memory that starts leave free [E2B_SERVER_MIN_FREE_MEMORY_MB] (default: 5 % and at least 256)',
    )
    .option(
      '--min-free-disk-mb <n>',
      'disk space that starts leave free [E2B_SERVER_MIN_FREE_DISK_MB] (default: 1024)',
    )
    .option(
      '--limit-disk',
      'hold what a sandbox writes to its diskSizeMB, or do not start; native runtime only [E2B_SERVER_LIMIT_DISK] (default: where the machine can)',
    )
    .option('--no-limit-disk', "sandboxes share the machine's disk")
    .option(
      '--warm-memory-mb <n>',
      'memory of guests that are started before their sandbox is asked for, 0 for none [E2B_SERVER_WARM_MEMORY_MB] (default: a sixteenth)',
    )
    .option(
      '--max-builds <n>',
      'builds of templates that run at once [E2B_SERVER_MAX_BUILDS] (default: one for each CPU, at least 4)',
    )
    .option(
      '--ready-wait <seconds>',
      'how long a template’s build may take to become ready [E2B_SERVER_READY_WAIT] (default: 600)',
    )
    .option(
      '--build-stock',
      'build a stock template when it is first asked for [E2B_SERVER_BUILD_STOCK] (default: true)',
    )
    .option('--no-build-stock', 'build none but by "templates build"')
    .option(
      '--stock-dir <dir>',
      'folder with recipes of more templates for every team, beside those that come with it [E2B_SERVER_STOCK_DIR]',
    )
    .option(
      '--otlp-endpoint <url>',
      'where OpenTelemetry traces of operations go, over OTLP [E2B_SERVER_OTLP_ENDPOINT] (default: nowhere)',
    )
    .option(
      '--template-cache-mb <n>',
      'layers and files that are kept for later builds [E2B_SERVER_TEMPLATE_CACHE_MB] (default: 20480)',
    )
    .option(
      '--max-upload-mb <n>',
      'largest archive of files for one COPY step of a template [E2B_SERVER_MAX_UPLOAD_MB] (default: 2048)',
    )
    .option(
      '--max-team-uploads-mb <n>',
      'such archives of one team together [E2B_SERVER_MAX_TEAM_UPLOADS_MB] (default: 20480)',
    )
}

/** The same for values that may have commas. */
function joinedLines(value: string, before: string | undefined): string {
  return before === undefined ? value : `${before}\n${value}`
}

/** A flag that may be given several times is a list with commas. */
function joined(value: string, before: string | undefined): string {
  return before === undefined ? value : `${before},${value}`
}
