import { expect, test } from 'vitest'
import { parseTemplateName } from './template-name.ts'

test('a tag is anything but a UUID', () => {
  expect(parseTemplateName('Mine:V2')).toEqual({ namespace: null, name: 'mine', tag: 'v2' })
  expect(() => parseTemplateName('mine:6F9619FF-8B86-D011-B42D-00CF4FC964FF')).toThrow(/UUID/)
})
