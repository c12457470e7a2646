/**
 * What docs/compat.md says of each method of the SDKs. `npm run gen:compat` renders it; the run of the conformance
 * tests fails unless a passing test proves each `works` for each release that has the method.
 */

export type State =
  | 'works'
  /** Works without a test of ours: the SDK does it without asking the server */
  | 'local'
  /** `note` names what is missing */
  | 'partly'
  | 'not yet'

export interface Claim {
  state: State
  /** Named as surface.ts does, one or several of which the same is true */
  methods: string[]
  note: string
  /** Releases in which it works only partly, as tables head their columns, and what is missing there */
  partlyIn?: Record<string, string>
}

export interface Section {
  title: string
  claims: Claim[]
}

function claim(state: State, methods: string, note = ''): Claim {
  return { state, methods: methods.split(' '), note }
}

export const sections: Section[] = [
  {
    title: 'Sandbox',
    claims: [
      claim('works', 'Sandbox.create', 'with the template `base`; its options are below'),
      {
        ...claim('works', 'Sandbox.connect'),
        partlyIn: {
          'Python 2.20.3':
            'what it returns can only ask the API, because with `E2B_SANDBOX_URL` it leaves out which sandbox it is',
        },
      },
      claim('works', 'sandbox.connect'),
      claim(
        'works',
        'Sandbox.list',
        'filters `metadata`, `state`, `startedAfter`, `template`; `order`, `limit`, pages',
      ),
      claim('works', 'sandboxPaginator.nextItems'),
      claim('works', 'Sandbox.kill sandbox.kill'),
      claim('works', 'Sandbox.getInfo sandbox.getInfo Sandbox.getFullInfo'),
      claim('works', 'Sandbox.setTimeout sandbox.setTimeout'),
      claim('works', 'sandbox.isRunning'),
      claim(
        'works',
        'sandbox.getHost',
        "`<port>-<id>.<domain>`; on a server without `--domain` it is `<port>-<id>.localhost:<server's port>`, which browsers and curl open and many other programs can't resolve",
      ),
      claim('works', 'sandbox.uploadUrl sandbox.downloadUrl', 'the URL alone is enough, in every mode'),
      claim('works', 'Sandbox.betaCreate'),
      claim(
        'works',
        'Sandbox.pause sandbox.pause Sandbox.betaPause sandbox.betaPause',
        'with memory and without; memory is kept in RAM (on Docker also in swap), so a restart of the host loses it and the sandbox resumes from its files',
      ),
      claim(
        'works',
        'Sandbox.fork sandbox.fork',
        'forks boot from the copied files; running processes are not in them',
      ),
      claim(
        'works',
        'Sandbox.createSnapshot sandbox.createSnapshot Sandbox.listSnapshots sandbox.listSnapshots snapshotPaginator.nextItems Sandbox.deleteSnapshot',
        'of the files alone: running processes are not in them, and `mode: "full"` is refused',
      ),
      {
        ...claim('works', 'Sandbox.getMetrics sandbox.getMetrics', 'a sample every 5 s'),
        partlyIn: { 'JavaScript 2.20.0': 'it leaves out `start` and `end`, so all samples come' },
      },
      claim(
        'works',
        'Sandbox.updateNetwork sandbox.updateNetwork',
        'closes sandboxes and opens them, all of their traffic out at once; lists are refused (501)',
      ),
      claim(
        'works',
        'sandbox.getMcpUrl sandbox.getMcpToken',
        'HTTPS names, so only the domain mode opens them from outside',
      ),
    ],
  },
  {
    title: 'sandbox.commands',
    claims: [
      claim(
        'works',
        'commands.run',
        'in the foreground and background, with `cwd`, `envs`, `user`, `timeoutMs`, `stdin`, `onStdout`, `onStderr`',
      ),
      claim('works', 'commands.list'),
      claim('works', 'commands.kill'),
      claim('works', 'commands.connect'),
      claim('works', 'commands.sendStdin commands.closeStdin'),
      claim('works', 'commands.streamInput commandInputHandle.send commandInputHandle.close'),
      claim('works', 'commandHandle.wait commandHandle.kill commandHandle.disconnect'),
      claim('works', 'commandHandle.sendStdin commandHandle.closeStdin'),
    ],
  },
  {
    title: 'sandbox.pty',
    claims: [
      claim('works', 'pty.create'),
      claim('works', 'pty.connect'),
      claim('works', 'pty.sendInput pty.sendStdin'),
      claim('works', 'pty.streamInput'),
      claim('works', 'pty.resize'),
      claim('works', 'pty.kill'),
    ],
  },
  {
    title: 'sandbox.files',
    claims: [
      claim('works', 'files.read', 'as text, bytes, blob, stream; with `gzip`'),
      claim(
        'works',
        'files.write files.writeFiles',
        'of text, bytes, blobs and streams, one or several files; with `metadata`, `gzip`, `useOctetStream`',
      ),
      claim('works', 'files.list', 'with `depth`'),
      claim('works', 'files.exists files.getInfo'),
      claim('works', 'files.makeDir'),
      claim('works', 'files.rename'),
      claim('works', 'files.remove'),
      claim('works', 'files.watchDir', 'with `recursive`, `includeEntry`, `timeoutMs`, `onExit`'),
      claim('works', 'watchHandle.stop watchHandle.getNewEvents'),
    ],
  },
  {
    title: 'sandbox.git',
    claims: [
      claim('works', 'git.init git.clone'),
      claim('works', 'git.add git.commit git.status git.reset git.restore'),
      claim('works', 'git.branches git.createBranch git.checkoutBranch git.deleteBranch'),
      claim('works', 'git.remoteAdd git.remoteGet git.push git.pull'),
      claim('works', 'git.setConfig git.getConfig git.configureUser git.dangerouslyAuthenticate'),
    ],
  },
  {
    title: 'Others',
    claims: [
      claim('works', 'Template.exists Template.aliasExists', 'of templates and snapshots'),
      claim('works', 'Template.build Template.buildInBackground Template.getBuildStatus'),
      claim('works', 'Template.assignTags Template.removeTags Template.getTags', 'also of snapshots'),
      claim(
        'local',
        'template.* Template.toJSON Template.toJson Template.toDockerfile',
        '`Template()` and its steps',
      ),
      claim('not yet', 'Volume.create Volume.connect Volume.getInfo Volume.list Volume.destroy'),
      claim(
        'not yet',
        'volume.list volume.makeDir volume.getInfo volume.exists volume.updateMetadata volume.readFile volume.writeFile volume.remove',
      ),
      claim(
        'not yet',
        'Secret.create Secret.update Secret.getInfo Secret.list Secret.exists Secret.destroy secretPaginator.nextItems',
      ),
      claim('not yet', 'Secret.fill Secret.iamToken', 'what they make is for `network` and `iam`'),
    ],
  },
]
