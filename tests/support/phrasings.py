"""Three hundred questions as people may ask them, in English and Russian, each with its intent.

They were written before the rules of `inkling.ask.intents`, and divided at once: the rules may be changed after a look
at `KNOWN`, never after a look at `HELD_OUT`. An empty intent stands for a question that Inkling cannot answer.
"""

import random

SEED = 20
ENGLISH = {
    "what": """
        what is it
        What's in this picture?
        so what do you see here
        whats this
        Tell me what this is
        waht is that thing
        can you identify it
        what does the photo show
        describe the picture
    """,
    "sure": """
        how sure are you
        are you certain?
        How confident is this answer?
        what is the probability that it's right
        r u sure
        is that a guess or do you really know
        how likely is it that you are correct
        Can I trust this
        cofidence?
        what percentage is that
    """,
    "why": """
        why
        Why do you think so?
        what made you decide that
        how did you come to this conclusion
        which part of the picture did you look at
        explain your answer please
        what in the image gives it away
        wyh is it a cat
        reason?
        how can you tell
    """,
    "else": """
        what else could it be
        Could it be something else?
        why not a dog
        what was your second guess
        what are the alternatives
        any other ideas
        and why isn't it a 7?
        show me the runner-up
        what other things did you consider
        Which other labels came close?
    """,
    "none": """
        could it be none of these
        what if it's nothing you know
        is it something you have never seen
        maybe it is not in your list at all?
        Does this picture look familiar to you?
        could this be something you weren't trained on
        is this picture unusual for you
        none of the above?
        what if there's no such label
    """,
    "change": """
        what would change your mind
        would you still say so if it was darker
        what if I rotate the picture
        what happens if the photo is blurry
        how robust is this answer
        Would cropping change the answer?
        and if you hide the important part?
        what would make you answer differently
        how stable is it if I turn it a bit
        chnage your mind
    """,
    "good": """
        how good is this model
        How accurate is it?
        what was it trained on
        where does the training data come from
        what's the accuracy of the model
        which dataset did you learn from
        how good is digits-cnn
        how many pictures did you learn from
        is the model any good
        how often is it right
        what test score does cats-dogs-cnn have
    """,
    "errs": """
        where does it err
        what mistakes does the model make
        Which things does it confuse?
        when is it wrong
        what does it mix up most often
        show me your failures
        what are its weaknesses
        what is the model bad at
        typical errors?
        how often do you confuse cats and dogs
        where are the mistakes of digits-hog
    """,
    "teach": """
        how do I correct you
        that's wrong, it is a fox
        can I teach you my own things
        how can I train it on my pictures
        You are mistaken. How do I fix it?
        i want to add a new class
        how to make my own classifier
        where do I say that the answer is wrong
        can you learn this
        your answer is incorrect
    """,
    "who": """
        which model answered
        who said that
        which models were asked
        what network is behind this answer
        what did Auto choose
        why did you choose this model
        which model did you use
    """,
    "time": """
        how long did it take
        how fast was that
        how many milliseconds did you need
        why so slow
        speed?
    """,
    "kept": """
        where are my pictures kept
        do you store my photo
        who can see this picture
        How long do you keep it?
        can I delete my picture
        is my photo uploaded to the cloud
        what happens with my data
        privacy?
    """,
    "can": """
        what can you do
        what can this inkling do
        which things do you know
        what can I ask you
        what do you recognize
        which models are there
        help
        what are you able to recognise
    """,
    "calibration": """
        what is calibration
        what does 93% mean
        what does calibrated mean
        what does the percentage tell me
        what is a confidence
        when do you say sure
        what's the difference between sure and probably
    """,
    "files": """
        which files do you accept
        can I send a HEIC photo
        what's the maximum size of a picture
        how large can a photo be
        which formats are allowed
        can I upload many pictures at once
    """,
    "self": """
        who are you
        are you an AI
        are you chatgpt
        do you use a language model
        what is Inkling
        how do you work
        is there an LLM behind this
    """,
    "": """
        what's the weather today
        tell me a joke
        how old is this dog
        who took this photo
        2+2
        asdf
        how many people are in the picture
        write a poem about it
        what color is the car
        where was this taken
        is it healthy
        hello
        capital of France
        translate this to German
    """,
}
RUSSIAN = {
    "what": """
        что это
        Что на картинке?
        что ты видишь
        чё это такое
        кто на фото
        скажи, что здесь изображено
        что за зверь на снимке
        опиши картинку
        што это
    """,
    "sure": """
        насколько ты уверен
        Вы уверены?
        какова вероятность, что это правильно
        это точно?
        уверена в ответе?
        можно ли доверять этому ответу
        ты просто угадываешь?
        сколько процентов
        увереность
        насколько это достоверно
    """,
    "why": """
        почему
        Почему вы так решили?
        с чего ты взял
        как ты это понял
        на что ты смотрел
        объясни ответ
        пачему это кошка
        по каким признакам определили
        какая часть картинки самая важная
        обоснуй
    """,
    "else": """
        что ещё это может быть
        Может, это что-то другое?
        почему не собака
        какие ещё есть варианты
        а второй вариант какой
        на что ещё похоже
        а почему это не семёрка
        какие были альтернативы
        что на втором месте
        что еще ты рассматривал
    """,
    "none": """
        может, ничего из этого
        а вдруг это не то, что ты знаешь
        это может быть чем-то незнакомым?
        ты такое раньше видел?
        Похоже ли это на то, чему вас учили?
        а если такого нет в списке
        это знакомая картинка?
        вдруг ни один вариант не подходит
        ничего из перечисленного?
    """,
    "change": """
        что заставило бы тебя передумать
        Что изменит ваш ответ?
        а если повернуть картинку
        что будет, если фото темнее
        если размыть, ответ тот же?
        насколько ответ устойчив
        а если обрезать
        что если закрыть самое важное
        когда ты скажешь другое
        изменица ли ответ если повернуть
    """,
    "good": """
        насколько хороша эта модель
        Какая у модели точность?
        на чём её обучали
        на каких данных училась модель
        как часто она права
        сколько картинок было в обучении
        насколько точна digits-cnn
        откуда данные для обучения
        хорошая ли это модель
        какой датасет
        точность модели
    """,
    "errs": """
        где она ошибается
        Какие ошибки делает модель?
        что она путает
        с чем путают кошек
        когда ты ошибаешься
        покажи ошибки
        какие у модели слабые места
        в чём она слаба
        чаще всего путает что
        ошибки модели doodles-cnn
        что плохо распознаёт
    """,
    "teach": """
        как тебя исправить
        это неправильно, это лиса
        Как научить вас новому?
        хочу обучить на своих фото
        как добавить свой класс
        ты ошибся, что делать
        как создать свой классификатор
        где указать правильный ответ
        ответ неверный
        можно тебя научить?
    """,
    "who": """
        какая модель ответила
        кто это сказал
        какие модели спрашивали
        какая сеть дала ответ
        что выбрал режим авто
        какую модель использовали
        почему ответила эта модель
    """,
    "time": """
        сколько времени это заняло
        как быстро
        за сколько миллисекунд
        почему так долго
        скорость
    """,
    "kept": """
        где хранятся мои картинки
        вы сохраняете фото?
        кто видит мой снимок
        как долго хранится картинка
        можно удалить фото
        куда отправляется моя фотография
        что с моими данными
        конфиденциальность
    """,
    "can": """
        что ты умеешь
        Что может этот Inkling?
        что ты знаешь
        о чём можно спросить
        какие есть модели
        что вы распознаёте
        помощь
        на какие вопросы ты отвечаешь
    """,
    "calibration": """
        что такое калибровка
        что значит 93%
        что означают проценты
        что такое уверенность
        когда ты говоришь «точно»
        что значит калиброванная
        чем «уверен» отличается от «почти уверен»
    """,
    "files": """
        какие файлы принимаете
        можно ли прислать heic
        какой максимальный размер фото
        в каком формате загружать
        можно загрузить несколько картинок сразу
        сколько мегабайт можно
    """,
    "self": """
        кто ты
        ты нейросеть?
        ты chatgpt
        это языковая модель?
        что такое Inkling
        как ты работаешь
        ты искусственный интеллект
    """,
    "": """
        какая сегодня погода
        расскажи анекдот
        сколько лет этой собаке
        кто сделал это фото
        дважды два
        фыва
        сколько людей на снимке
        напиши стих про неё
        какого цвета машина
        где это снято
    """,
}


def _all() -> list[tuple[str, str]]:
    """(intent, question) of all phrasings."""
    return [
        (intent, line.strip())
        for language in (ENGLISH, RUSSIAN)
        for intent, block in language.items()
        for line in block.strip().splitlines()
    ]


PHRASINGS = _all()
_order = random.Random(SEED).sample(range(len(PHRASINGS)), len(PHRASINGS))
KNOWN = [PHRASINGS[i] for i in sorted(_order[: len(PHRASINGS) // 2])]
HELD_OUT = [PHRASINGS[i] for i in sorted(_order[len(PHRASINGS) // 2 :])]
