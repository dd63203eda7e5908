"""What the buffer hands out, as requests to the cloud: events in batches, then media in pieces."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from appliance.identity.credentials import Credentials
from appliance.uplink.client import CloudClient, Refused, Unreachable
from appliance.uplink.upload import ChangedFile, MediaTicket, NotNow, Upload
from buffer.errors import MediaMissing, StoreError
from buffer.media import MediaStore
from buffer.message import Draft, Message, Priority
from buffer.store import Store
from buffer.uplink import Delivered, Outcome, Rejected, Retry, UplinkDown
from protocol.event import BatchAnswer, EventAnswer, EventBatch, PendingMedia

log = logging.getLogger(__name__)

EVENT = "event"
MEDIA = "media"

_NOT_THE_MESSAGE = {401, 403, 404, 408, 429}
"""Answers that say something about us or the moment, not about the message: it is kept."""
_CREDENTIAL_PAUSE_S = 60.0


class Delivery:
    """The uplink of the drain. Claimed or not is asked at every call."""

    def __init__(
        self,
        client: CloudClient,
        store: Store,
        media: MediaStore,
        credentials: Callable[[], Credentials | None],
        uploaded: Callable[[int], None],
    ) -> None:
        """`uploaded` is told how many events the cloud has taken."""
        self._client = client
        self._store = store
        self._media = media
        self._credentials = credentials
        self._uploaded = uploaded

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """One outcome per message. Raises `UplinkDown` when nothing at all could be delivered."""
        credentials = self._credentials()
        if credentials is None:
            raise UplinkDown("the station is not claimed", retry_after=_CREDENTIAL_PAUSE_S, counts=False)
        outcomes: dict[int, Outcome] = {}
        try:
            events = [message for message in batch if message.kind == EVENT]
            if events:
                await self._events(credentials, events, outcomes)
            for message in batch:
                if message.kind != EVENT:
                    outcomes[message.id] = await self._other(credentials, message)
        except (Unreachable, Refused) as error:
            if not outcomes:
                raise _down(error) from error
            log.info("the rest of the batch waits: %s", error)
        return [outcomes.get(message.id, Retry("not tried yet", after=0.0)) for message in batch]

    async def _events(
        self, credentials: Credentials, messages: Sequence[Message], outcomes: dict[int, Outcome]
    ) -> None:
        body = msgspec.json.encode(EventBatch(events=[msgspec.Raw(message.payload) for message in messages]))
        path = credentials.path(credentials.endpoints.events)
        try:
            reply = await self._client.send("POST", path, body)
        except Refused as refusal:
            if not _is_about_the_message(refusal):
                raise
            await self._apart(credentials, messages, outcomes, refusal)
            return
        answers = reply.read(BatchAnswer).results
        if len(answers) != len(messages):
            raise Unreachable("connect", "The cloud answered for another number of events.")
        for message, answer in zip(messages, answers, strict=True):
            outcomes[message.id] = await self._event_outcome(message, answer)

    async def _apart(
        self,
        credentials: Credentials,
        messages: Sequence[Message],
        outcomes: dict[int, Outcome],
        refusal: Refused,
    ) -> None:
        """A batch was refused as a whole: halves find the one that is to blame."""
        if len(messages) == 1:
            outcomes[messages[0].id] = Rejected(str(refusal))
            return
        middle = len(messages) // 2
        for half in (messages[:middle], messages[middle:]):
            await self._events(credentials, half, outcomes)

    async def _event_outcome(self, message: Message, answer: EventAnswer) -> Outcome:
        if answer.status == "rejected":
            return Rejected(f"{answer.code or ''} {answer.reason or ''} {answer.detail or ''}".strip())
        for pending in answer.media_pending:
            await self._queue_media(message, answer.event_id, pending)
        self._uploaded(1)
        return Delivered()

    async def _queue_media(self, message: Message, event_id: str, pending: PendingMedia) -> None:
        """The file's own message is durable before the event's message goes."""
        reference = next((each for each in message.media if each.sha256 == pending.sha256), None)
        if reference is None:
            log.warning("the cloud asks for a file that event %s does not have", event_id)
            return
        ticket = MediaTicket(event_id, reference.sha256, reference.size, reference.mime, reference.name)
        await self._store.put(
            Draft(
                kind=MEDIA,
                payload=msgspec.json.encode(ticket),
                priority=Priority.NORMAL,
                idempotency_key=f"media:{event_id}:{reference.sha256}",
                media=(reference,),
            )
        )

    async def _other(self, credentials: Credentials, message: Message) -> Outcome:
        if message.kind != MEDIA:
            return Rejected(f"no way to send a message of kind {message.kind!r}")
        upload = Upload(self._client, self._media, f"/v1/devices/{credentials.device_id}/uploads")
        try:
            ticket = msgspec.json.decode(message.payload, type=MediaTicket)
            done = await upload.run(ticket, pause=self._something_more_urgent)
        except (ChangedFile, msgspec.MsgspecError) as error:
            return Rejected(str(error))
        except NotNow as reason:
            return Retry(str(reason))
        except MediaMissing as error:
            return Rejected(f"the file is gone: {error}")
        except StoreError as error:
            return Retry(f"the file cannot be read: {error}")
        except Refused as refusal:
            if not _is_about_the_message(refusal):
                raise
            return Rejected(str(refusal))
        return Delivered() if done else Retry("a more urgent message goes first", after=0.0)

    def _something_more_urgent(self) -> bool:
        return self._store.waiting(Priority.CRITICAL) > 0 or self._store.waiting(Priority.HIGH) > 0


def _is_about_the_message(refusal: Refused) -> bool:
    return 400 <= refusal.status < 500 and refusal.status not in _NOT_THE_MESSAGE


def _down(error: Unreachable | Refused) -> UplinkDown:
    if isinstance(error, Unreachable):
        return UplinkDown(str(error))
    if error.status in (401, 403, 404):
        pause = error.retry_after or _CREDENTIAL_PAUSE_S
        return UplinkDown(f"the cloud does not accept this station: {error}", retry_after=pause, counts=False)
    return UplinkDown(str(error), retry_after=error.retry_after, counts=error.status != 429)
