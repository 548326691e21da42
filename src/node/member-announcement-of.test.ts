// Which address a server announces.

import { expect, it } from 'vitest'
import { clientAddressOf, memberAnnouncementOf } from './member-announcement-of.ts'

const address = (bound: string | undefined, advertised?: string): string | undefined =>
  memberAnnouncementOf('s1', bound, advertised, ['s1'])?.address

it('is where it listens, in the format of ZooKeeper 3.9, if others can reach it there', () => {
  expect(address('10.0.0.7:2181')).toBe('10.0.0.7:0:0:participant;10.0.0.7:2181')
  expect(address('[2001:db8::1]:2181')).toBe('[2001:db8::1]:0:0:participant;[2001:db8::1]:2181')
})

it('is none if that leads elsewhere on another machine, and is not known before it listens', () => {
  for (const bound of [
    '127.0.0.1:1',
    '127.1.2.3:1',
    'localhost:1',
    '0.0.0.0:1',
    '[::]:1',
    '[::1]:1',
    '[::ffff:127.0.0.1]:1',
  ]) {
    expect(address(bound)).toBe('')
  }
  expect(address(undefined, 'zk.example')).toBeUndefined()
})

it('is what an operator says', () => {
  expect(address('0.0.0.0:2181', 'zk1.example')).toBe('zk1.example:0:0:participant;zk1.example:2181')
  expect(address('127.0.0.1:2181', '2001:db8::2')).toBe('[2001:db8::2]:0:0:participant;[2001:db8::2]:2181')
})

it('is told to clients as it is bound, or as an operator says, and not at all where it would be none', () => {
  expect(clientAddressOf('127.0.0.1:40123', undefined)).toBe('127.0.0.1:40123')
  expect(clientAddressOf('0.0.0.0:2181', 'zk1.example')).toBe('zk1.example:2181')
  expect(clientAddressOf('[::]:2181', '2001:db8::1')).toBe('[2001:db8::1]:2181')
  for (const bound of [undefined, '0.0.0.0:2181', '[::]:2181']) expect(clientAddressOf(bound, undefined)).toBe('')
})
