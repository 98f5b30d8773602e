"""Questions for rows without one of their own: eleven in Russian, eleven in English, one for each row, in turn."""

from __future__ import annotations

import re
from typing import Literal

Mode = Literal["direct", "reasoned"]

RUSSIAN = (
    "Файл с кодом на {lang}:\n\n{focal_code}\n\nФайл с тестом:\n\n{test_code}\n\n"
    'Завершится ли запуск теста без ошибок? Напиши "success", если да, и "failed", если нет.',
    "Перед тобой исходный код ({lang}) и тест к нему.\n\nКод:\n\n{focal_code}\n\nТест:\n\n{test_code}\n\n"
    'Предскажи итог запуска одним словом: "success" — тест прошёл, "failed" — тест не прошёл.',
    "Тест на {lang}:\n\n{test_code}\n\nКод, к которому он относится:\n\n{focal_code}\n\n"
    'Что покажет запуск? Нужен ответ из одного слова: "success" или "failed".',
    "Ты проверяешь изменения в проекте на {lang}. Модуль:\n\n{focal_code}\n\nЕго тест:\n\n{test_code}\n\n"
    'Если тест пройдёт, ответь "success". Если он упадёт или не запустится, ответь "failed".',
    "Язык: {lang}.\n\n[модуль]\n{focal_code}\n[/модуль]\n\n[тест]\n{test_code}\n[/тест]\n\n"
    'Исход теста ("success" или "failed"):',
    "Мысленно выполни тест.\n\nМодуль ({lang}):\n\n{focal_code}\n\nТест:\n\n{test_code}\n\n"
    'Результат запиши одним словом, без пояснений: "success" при удаче, "failed" при любой ошибке.',
    "К модулю на {lang} написали тест. Не все такие тесты верны.\n\nМодуль:\n\n{focal_code}\n\nТест:\n\n{test_code}\n\n"
    'Верен ли этот? Ответь "success", если он выполнится без ошибок, иначе "failed".',
    "{focal_code}\n\nВыше — код на {lang}, ниже — тест для него.\n\n{test_code}\n\n"
    'Назови исход запуска теста: "success" или "failed".',
    'Ответь "success" или "failed": пройдёт ли этот тест?\n\nКод ({lang}):\n\n{focal_code}\n\nТест:\n\n{test_code}',
    "Система сборки запускает тест на {lang}:\n\n{test_code}\n\nПроверяемый файл:\n\n{focal_code}\n\n"
    'Каким будет статус сборки: "success" (ошибок нет) или "failed" (есть хотя бы одна)?',
    "Исходный файл ({lang}):\n\n{focal_code}\n\nТестовый файл:\n\n{test_code}\n\nКод или тест может содержать ошибку. "
    'Верни "failed", если при запуске теста она проявится, и "success", если нет.',
)
ENGLISH = (
    "Here is a {lang} source file:\n\n{focal_code}\n\nAnd a test for it:\n\n{test_code}\n\n"
    'Does the test run without an error? Say "success" if it does, "failed" if it does not.',
    "Predict the outcome of a test run.\n\nSource ({lang}):\n\n{focal_code}\n\nTest:\n\n{test_code}\n\n"
    'Answer with one word, "success" or "failed".',
    "Test file, in {lang}:\n\n{test_code}\n\nThe file that it tests:\n\n{focal_code}\n\n"
    'What comes of running it? One word: "success" where everything passes, "failed" where anything goes wrong.',
    "You review a change to a {lang} project. The module:\n\n{focal_code}\n\nIts test:\n\n{test_code}\n\n"
    'Reply "success" if the test will pass and "failed" if it will fail or cannot be run.',
    'Language: {lang}.\n\n[module]\n{focal_code}\n[/module]\n\n[test]\n{test_code}\n[/test]\n\nOutcome ("success" or "failed"):',
    "Execute this test in your head.\n\nModule ({lang}):\n\n{focal_code}\n\nTest:\n\n{test_code}\n\n"
    'Give the result alone, without an explanation: "success" or "failed".',
    "Someone wrote a test for this {lang} module; such tests are not always right.\n\nModule:\n\n{focal_code}\n\n"
    'Test:\n\n{test_code}\n\nIs this one? "success" if it runs without errors, otherwise "failed".',
    "{focal_code}\n\nAbove is code in {lang}, below a test of it.\n\n{test_code}\n\n"
    'Name the outcome of the test: "success" or "failed".',
    'Answer "success" or "failed": will this test pass?\n\nCode ({lang}):\n\n{focal_code}\n\nTest:\n\n{test_code}',
    "A build server runs this {lang} test:\n\n{test_code}\n\nThe file under test:\n\n{focal_code}\n\n"
    'What is the status of the build: "success" (no error) or "failed" (at least one)?',
    "Source file ({lang}):\n\n{focal_code}\n\nTest file:\n\n{test_code}\n\nEither of them may be wrong. "
    'Return "failed" if running the test brings an error to light, "success" if it does not.',
)
PROMPTS = tuple(each for pair in zip(ENGLISH, RUSSIAN, strict=True) for each in pair)

_REASON = (
    "\n\nBefore you answer, reason step by step: what the code does for the test's inputs, and what the test expects. "
    'Only then answer, on a last line of its own: "Answer: success" or "Answer: failed".'
)
_REASON_RU = (
    "\n\nПрежде чем ответить, рассуждай по шагам: что делает код для данных теста и чего тест ожидает. "
    'Только после этого ответь последней отдельной строкой: "Ответ: success" или "Ответ: failed".'
)


def in_mode(question: str, mode: Mode) -> str:
    """The question as the mode asks it; in the question's own language."""
    if mode == "direct":
        return question
    return question + (_REASON_RU if re.search("[а-яё]", question, re.IGNORECASE) else _REASON)
