/** The part of the runtime contract's test that is about images of guests; `runtime.suite.ts` runs it. */
import { expect, test } from 'vitest'
import { hello } from '../guest/hello.ts'
import { count, guestOf, ids, newImage, patience, pidsOf, run, type SuiteBench } from './tools.suite.ts'

/** Longest time for a copy of a whole image by a busy machine, in milliseconds */
const copyMs = 300_000

export function testSnapshots({ suite, runtime, pauses, start, snapshot, snapshots }: SuiteBench): void {
  if (runtime.capabilities.filesystemSnapshot) {
    test.each([undefined, ...pauses])('guests start from a snapshot; paused before: %o', async (options) => {
      const source = await start()
      const guest = guestOf(runtime, source)
      const { boot } = await hello(guest, patience())
      await run(guest, 'echo first > ~/file; mkdir ~/dir; ln -s ../file ~/dir/link; chmod 750 ~/dir')
      if (options !== undefined) await runtime.pause(source, options, patience())
      const condition = await runtime.recover(source, patience())
      const image = await snapshot(source)
      expect(await runtime.recover(source, patience())).toBe(condition)
      const { handle } = await runtime.resume(source, patience())
      await run(guestOf(runtime, handle), 'echo second > ~/file; rm -r ~/dir')

      const clones = await Promise.all([start({ image }), start({ image })])
      const [one, other] = clones.map((clone) => guestOf(runtime, clone))
      const script = 'cat ~/file ~/dir/link; stat -c %a ~/dir; echo new > ~/file'
      expect((await run(one!, script)).stdout).toBe('first\nfirst\n750\n')
      expect((await run(other!, script)).stdout).toBe('first\nfirst\n750\n')
      const greeting = await hello(one!, patience())
      expect(greeting).toMatchObject({ configured: false, processes: 0 })
      expect(greeting.boot).not.toBe(boot)
      expect((await run(guestOf(runtime, handle), 'cat ~/file')).stdout).toBe('second\n')
      for (const clone of clones) await runtime.destroy(clone, patience())
    })

    test('a snapshot of a guest that writes leaves it running, with its processes', async () => {
      const handle = await start()
      const guest = guestOf(runtime, handle)
      const writer = await count(guest, 'echo $i > ~/part; mv ~/part ~/number')
      await writer.next()
      const image = await snapshot(handle)
      expect(await runtime.recover(handle, patience())).toBe('running')
      await writer.next()
      expect(await pidsOf(guest)).toEqual([writer.pid])
      await writer.stop()
      const clone = await start({ image })
      expect(Number((await run(guestOf(runtime, clone), 'cat ~/number')).stdout)).toBeGreaterThan(0)
      await runtime.destroy(clone, patience())
    })

    test('snapshots are listed, measured and removed, and a name is taken once', async () => {
      const handle = await start()
      await run(guestOf(runtime, handle), 'head -c 1000000 /dev/urandom > ~/file')
      expect(await runtime.images.list(patience())).toEqual([])
      const [first, second] = [await snapshot(handle), await snapshot(handle)]
      expect((await runtime.images.list(patience())).sort()).toEqual([first, second].sort())
      expect(await runtime.images.inspect(first, patience())).toBeDefined()
      const info = await runtime.images.inspect(first, patience())
      expect(info?.sizeBytes).toBeGreaterThanOrEqual(1_000_000)
      expect(info).toMatchObject({ os: 'linux', architecture: expect.stringMatching(/^(amd|arm)64$/) })
      expect(info?.workdir).toMatch(/^\//)
      await expect(snapshot(handle, first)).rejects.toMatchObject({ code: 'conflict' })
      expect((await hello(guestOf(runtime, handle), patience())).protocol).toBe(1)

      await runtime.images.remove(first, patience())
      await runtime.images.remove(first, patience())
      expect(await suite.create().images.list(patience())).toEqual([second])
      expect(await runtime.images.inspect(first, patience())).toBeUndefined()
      await expect(start({ image: first })).rejects.toMatchObject({ code: 'not_found' })
      expect(await ids(runtime)).toEqual([handle.sandboxId])
    })

    if (suite.copiesImages) {
      test('a flattened image has the same files, is listed, and takes no name that is taken', {
        timeout: copyMs,
      }, async () => {
        const handle = await start()
        await run(guestOf(runtime, handle), 'echo kept > ~/file; chmod 640 ~/file; ln -s file ~/link')
        const image = await snapshot(handle)
        const flat = newImage()
        snapshots.add(flat)
        await runtime.images.flatten(image, flat, AbortSignal.timeout(copyMs))
        expect((await runtime.images.list(patience())).sort()).toEqual([image, flat].sort())
        const [before, after] = [image, flat].map((name) => runtime.images.inspect(name, patience()))
        const { layers, env, user, workdir } = (await after)!
        expect({ env, user, workdir }).toEqual(
          (({ env, user, workdir }) => ({ env, user, workdir }))((await before)!),
        )
        expect(layers).toBe(1)
        await runtime.images.remove(image, patience())
        const clone = await start({ image: flat })
        expect((await run(guestOf(runtime, clone), 'cat ~/link; stat -c %a ~/file')).stdout).toBe(
          'kept\n640\n',
        )
        await expect(runtime.images.flatten(flat, flat, patience())).rejects.toMatchObject({
          code: 'conflict',
        })
        const missing = runtime.images.flatten('e2b-server/nothing:here', newImage(), patience())
        await expect(missing).rejects.toMatchObject({ code: 'not_found' })
        await runtime.destroy(clone, patience())
      })
    }

    test('an image that is kept outlives the one it is of, is nobody’s, and says what it was kept with', async () => {
      const handle = await start()
      await run(guestOf(runtime, handle), 'echo kept > ~/file')
      const image = await snapshot(handle)
      const kept = newImage()
      snapshots.add(kept)
      await runtime.images.keep(image, kept, 'a "note"', patience())
      await expect(runtime.images.keep(image, kept, '', patience())).rejects.toMatchObject({
        code: 'conflict',
      })
      const missing = runtime.images.keep('e2b-server/nothing:here', newImage(), '', patience())
      await expect(missing).rejects.toMatchObject({ code: 'not_found' })
      expect(await runtime.images.list(patience())).toEqual([image])
      await runtime.images.remove(image, patience())
      const clone = await start({ image: kept })
      expect((await run(guestOf(runtime, clone), 'cat ~/file')).stdout).toBe('kept\n')
      const copy = await snapshot(clone)
      expect(await runtime.images.list(patience())).toEqual([copy])
      const found = (await suite.create().images.kept(patience())).filter((each) => snapshots.has(each.image))
      expect(found).toEqual([{ image: kept, note: 'a "note"', createdAt: expect.any(Number) }])
      const [repository = ''] = kept.split(':')
      const named = await runtime.images.named(repository, patience())
      const ours = named.filter((each) => snapshots.has(each.image))
      expect(ours.map((each) => each.image).toSorted()).toEqual([copy, kept].toSorted())
      // Newest first; those of one second in any order, as an engine may count no finer.
      const times = named.map((each) => each.createdAt)
      expect(times).toEqual(times.toSorted((a, b) => b - a))
      expect(await runtime.images.named(repository.slice(0, -1), patience())).toEqual([])
    })

    test('an image outlives the guest it was made of, and guests outlive the runtime that made it', async () => {
      const handle = await start()
      await run(guestOf(runtime, handle), 'echo kept > ~/file')
      const image = await snapshot(handle)
      await runtime.destroy(handle, patience())
      await expect(runtime.snapshot(handle, newImage(), patience())).rejects.toMatchObject({
        code: 'not_found',
      })
      const earlier = suite.create()
      await earlier.close()
      const later = suite.create()
      const clone = await start({ image }, later)
      expect((await run(guestOf(later, clone), 'cat ~/file')).stdout).toBe('kept\n')
      await later.destroy(clone, patience())
      await later.close()
    })

    test('a snapshot that is given up leaves no image and the guest running', async () => {
      const handle = await start()
      const [image, leaving] = [newImage(), new AbortController()]
      const outcome = runtime.snapshot(handle, image, leaving.signal).catch((error) => error)
      leaving.abort()
      expect(await outcome).toMatchObject({ code: 'canceled' })
      expect(await runtime.images.list(patience())).toEqual([])
      expect((await hello(guestOf(runtime, handle), patience())).protocol).toBe(1)
    })
  } else {
    test('a snapshot is unimplemented', async () => {
      await expect(runtime.snapshot(await start(), newImage(), patience())).rejects.toMatchObject({
        code: 'unimplemented',
      })
    })
  }
}
